import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { type Config, loadConfig } from "../../runtime/config/config.ts";
import { findChangedSettings } from "../../runtime/config/reload-effect.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Names of the settings that a reload finds changed when the config file says one thing and then another. */
async function changes(
  t: TestContext,
  before: object | null,
  after: object | null,
): Promise<string[]> {
  const load = async (values: object | null): Promise<Config> => {
    const cwd = temporaryFolder(t);
    mkdirSync(join(cwd, "handlers"));
    if (values !== null) writeFileSync(join(cwd, "edgicorn.config.json"), JSON.stringify(values));
    const config = await loadConfig({ mode: "production", flags: {}, env: {}, cwd });
    const same = { appDir: "", handlersDir: "", certsDir: "", stateDir: "" };
    // On a large machine shares differ, on a small one all are the least that there can be.
    const share = Object.keys(config.pools).length + config.maxWorkers;
    const isAutomatic = config.automatic.includes("workerMemoryLimitBytes");
    return isAutomatic
      ? { ...config, ...same, workerMemoryLimitBytes: 2 ** 40 / share }
      : { ...config, ...same };
  };
  return findChangedSettings(await load(before), await load(after)).map(({ name }) => name);
}

describe("findChangedSettings()", { timeout: 180_000 }, () => {
  it("names what somebody has changed, and nothing that follows from it", async (t) => {
    const pools = { reports: { workers: 3 } };
    assert.deepEqual(await changes(t, {}, { pools }), ["pools"]);
    assert.deepEqual(await changes(t, { workers: 2 }, { workers: 3 }), ["workers"]);
    assert.deepEqual(await changes(t, { bodyLimit: 1 }, { bodyLimit: 2 }), ["bodyLimit"]);
  });

  it("names what somebody has set that was automatic, and the other way round", async (t) => {
    const limit = { workerMemoryLimit: "512mb" };
    assert.deepEqual(await changes(t, {}, limit), ["workerMemoryLimit"]);
    assert.deepEqual(await changes(t, limit, {}), ["workerMemoryLimit"]);
    assert.deepEqual(await changes(t, { workers: 2 }, { workers: 2, maxWorkers: 4 }), [
      "maxWorkers",
    ]);
  });

  it("does not take a config file that appears for a setting", async (t) => {
    assert.deepEqual(await changes(t, null, {}), []);
    assert.deepEqual(await changes(t, null, { accessLog: false }), ["accessLog"]);
  });
});

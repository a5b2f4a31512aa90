import assert from "node:assert/strict";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { type Config, loadConfig } from "../runtime/config/config.ts";
import { Primary } from "../runtime/primary.ts";
import { temporaryFolder } from "./helpers/temporary-folder.ts";

const log = pino({ level: "silent" });

async function createProject(t: TestContext): Promise<Config> {
  const cwd = temporaryFolder(t);
  for (const folder of ["handlers", "public"]) mkdirSync(join(cwd, folder));
  writeFileSync(join(cwd, "handlers/index.ts"), "export default () => new Response();");
  const flags = { http: "0", https: "off", workers: "1", accessLog: "off" };
  return loadConfig({ mode: "production", flags, env: {}, cwd });
}

/** Whether a build runs that this process has started. */
function isBuilding(): boolean {
  return readdirSync("/proc").some((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1];
      const command = readFileSync(`/proc/${name}/cmdline`, "utf8");
      return Number(parent) === process.pid && command.includes("build-child");
    } catch {
      // It has ended since the folder was read.
      return false;
    }
  });
}

describe("Primary.start()", { timeout: 180_000 }, () => {
  it("leaves nothing behind when one part fails while the others open", async (t) => {
    // The engine is what fails first, while the build has hardly begun: this package is not installed.
    const engine = { engine: "uws", uws: "uWebSockets.js" } as const;
    const config = { ...(await createProject(t)), ...engine };
    const setup = { config, certificates: null, warnings: [] };
    const starting = Primary.start({
      ...setup,
      log,
      maxSpoolFiles: () => 1,
      createAccessLog: () => assert.fail("nothing was logged"),
      loadSetup: () => Promise.resolve(setup),
    });
    await assert.rejects(starting, { code: "ERR_LISTEN", message: /^Cannot load uWebSockets\.js/ });
    assert.equal(isBuilding(), false);
  });
});

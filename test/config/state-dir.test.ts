import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { findStateDir } from "../../runtime/config/state-dir.ts";
import { loadConfig } from "../../runtime/config.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("findStateDir()", { timeout: 30_000 }, () => {
  it("finds what the server finds", async (t) => {
    const cwd = temporaryFolder(t);
    mkdirSync(join(cwd, "handlers"));
    mkdirSync(join(cwd, "deploy"));
    const handlers = join(cwd, "handlers");
    writeFileSync(join(cwd, "deploy/with.json"), JSON.stringify({ stateDir: "state", handlers }));
    writeFileSync(join(cwd, "deploy/without.json"), JSON.stringify({ handlers }));
    const cases: [flags: { stateDir?: string; config?: string }, env: Record<string, string>][] = [
      [{}, {}],
      [{}, { EDGICORN_STATE_DIR: "from-env" }],
      [{ stateDir: "from-flag" }, { EDGICORN_STATE_DIR: "from-env" }],
      [{ config: "deploy/with.json" }, {}],
      [{ config: "deploy/without.json" }, {}],
      [{}, { EDGICORN_CONFIG: "deploy/with.json" }],
      [{ config: "deploy/with.json", stateDir: "from-flag" }, {}],
    ];
    for (const [flags, env] of cases) {
      const config = await loadConfig({ mode: "production", flags, env, cwd });
      assert.equal(await findStateDir({ flags, env, cwd }), config.stateDir, JSON.stringify(flags));
    }
  });

  it("looks at nothing that has no say: the config file may be broken otherwise", async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, "edgicorn.config.mjs"), "this is no JavaScript");
    const flags = { stateDir: "state" };
    assert.equal(await findStateDir({ flags, env: {}, cwd }), join(cwd, "state"));
    await assert.rejects(findStateDir({ flags: {}, env: {}, cwd }), { code: "ERR_CONFIG" });
    writeFileSync(join(cwd, "other.json"), JSON.stringify({ http: "nonsense", stateDir: "state" }));
    const config = { config: "other.json" };
    assert.equal(await findStateDir({ flags: config, env: {}, cwd }), join(cwd, "state"));
    writeFileSync(join(cwd, "other.json"), JSON.stringify({ stateDir: 7 }));
    await assert.rejects(findStateDir({ flags: config, env: {}, cwd }), {
      code: "ERR_CONFIG",
      message: "Cannot use stateDir in other.json: found 7, expected a folder",
    });
  });
});

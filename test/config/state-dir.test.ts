import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { findStateDir } from "../../runtime/config/state-dir.ts";
import { loadConfig } from "../../runtime/config/config.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("findStateDir()", { timeout: 180_000 }, () => {
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
      const expected = { stateDir: config.stateDir, note: null };
      assert.deepEqual(await findStateDir({ flags, env, cwd }), expected, JSON.stringify(flags));
    }
  });

  it("looks at nothing that has no say: the config file may be broken otherwise", async (t) => {
    const cwd = temporaryFolder(t);
    const expected = { stateDir: join(cwd, "state"), note: null };
    writeFileSync(join(cwd, "edgicorn.config.mjs"), "this is no JavaScript");
    const flags = { stateDir: "state" };
    assert.deepEqual(await findStateDir({ flags, env: {}, cwd }), expected);
    writeFileSync(join(cwd, "other.json"), JSON.stringify({ http: "nonsense", stateDir: "state" }));
    const config = { config: "other.json" };
    assert.deepEqual(await findStateDir({ flags: config, env: {}, cwd }), expected);
  });

  it("takes the default, and says why, where the config file that could tell is broken", async (t) => {
    const cwd = temporaryFolder(t);
    writeFileSync(join(cwd, "edgicorn.config.mjs"), "\nthis is no JavaScript");
    writeFileSync(join(cwd, "other.json"), JSON.stringify({ stateDir: 7 }));
    const look =
      "looking for the server in .edgicorn (or name its state folder with --state-dir DIR)";
    const stateDir = join(cwd, ".edgicorn");
    const broken = await findStateDir({ flags: {}, env: {}, cwd });
    assert.equal(broken.stateDir, stateDir);
    assert.match(broken.note ?? "", /^Cannot load edgicorn\.config\.mjs:2: [^\n]*$/);
    assert.ok(broken.note?.endsWith(look));
    assert.deepEqual(await findStateDir({ flags: { config: "other.json" }, env: {}, cwd }), {
      stateDir,
      note: `Cannot use stateDir in other.json: found 7, expected a folder: ${look}`,
    });
    writeFileSync(join(cwd, "edgicorn.config.json"), "{}");
    const two = await findStateDir({ flags: {}, env: {}, cwd });
    assert.equal(two.stateDir, stateDir);
    assert.match(two.note ?? "", /^Cannot choose a config file/);
  });

  it("refuses a config file that was named and is not there: it is another server's, or nobody's", async (t) => {
    const cwd = temporaryFolder(t);
    await assert.rejects(findStateDir({ flags: { config: "gone.ts" }, env: {}, cwd }), {
      code: "ERR_CONFIG",
      message: "Cannot use --config: found no file gone.ts, expected a config file",
    });
    await assert.rejects(findStateDir({ flags: {}, env: { EDGICORN_CONFIG: "gone.ts" }, cwd }), {
      code: "ERR_CONFIG",
    });
  });
});

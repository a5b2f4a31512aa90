import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { loadConfig } from "../../runtime/config/config.ts";
import { listEffective } from "../../runtime/config/list-effective.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("listEffective()", () => {
  it("shows no secret of a proxy, wherever the config has it", async (t) => {
    const cwd = temporaryFolder(t);
    const proxy = { to: "http://10.0.0.1", setRequestFields: { authorization: "Bearer s3cret" } };
    const config = {
      proxy,
      rules: [{ path: "/a/**", proxy }],
      sites: { "a.example": { proxy, rules: [{ proxy }] } },
    };
    writeFileSync(join(cwd, "edgicorn.config.json"), JSON.stringify(config));
    const loaded = await loadConfig({ mode: "production", flags: {}, env: {}, cwd });
    const shown = JSON.stringify(listEffective(loaded));
    assert.match(shown, /10\.0\.0\.1/);
    assert.match(shown, /authorization[^}]*\*\*\*/);
    assert.doesNotMatch(shown, /s3cret/);
  });

  it("shows the absence of a value by the word of the setting", async (t) => {
    const cwd = temporaryFolder(t);
    mkdirSync(join(cwd, "handlers"));
    const flags = { accessLogStatus: "all", admin: "off" };
    const { settings } = listEffective(
      await loadConfig({ mode: "production", flags, env: {}, cwd }),
    );
    const shown = Object.fromEntries(settings.map(({ name, value }) => [name, value]));
    assert.deepEqual(
      [shown["accessLogStatus"], shown["host"], shown["admin"]],
      ["all", "*", "off"],
    );
  });
});

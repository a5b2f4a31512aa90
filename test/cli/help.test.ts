import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COMMANDS } from "../../runtime/cli/commands.ts";
import { formatHelp } from "../../runtime/cli/help.ts";
import { SETTING_NAMES, flagName } from "../../runtime/config/settings.ts";

describe("formatHelp()", () => {
  const help = formatHelp({ version: "1.2.3" });

  it("fits in 80 columns of ASCII", () => {
    for (const line of help.split("\n")) {
      assert.ok(line.length <= 80, line);
      assert.match(line, /^[ -~]*$/);
    }
  });

  it("names every command, every flag, the environment and the version", () => {
    for (const { name } of COMMANDS) assert.match(help, new RegExp(`^  ${name} `, "m"));
    for (const name of SETTING_NAMES)
      assert.match(help, new RegExp(`^  --${flagName(name)} `, "m"));
    for (const text of ["--config", "--help", "EDGICORN_HTTP", "EDGICORN_BODY_LIMIT", "1.2.3"]) {
      assert.ok(help.includes(text), text);
    }
  });
});

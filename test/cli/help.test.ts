import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { COMMANDS } from "../../runtime/cli/commands.ts";
import { formatCommandHelp, formatHelp } from "../../runtime/cli/help.ts";
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
    for (const text of [
      "--config",
      "--help",
      "EDGICORN_HTTP",
      "EDGICORN_BODY_LIMIT",
      "start app:app",
      "1.2.3",
    ]) {
      assert.ok(help.includes(text), text);
    }
  });
});

/** That begin a line. */
function flags(text: string): string[] {
  return text.match(/^ {2}--[a-z0-9-]+/gm) ?? [];
}

describe("formatCommandHelp()", () => {
  for (const { name, help } of COMMANDS) {
    it(`tells of ${name}, in 80 columns of ASCII`, () => {
      const text = formatCommandHelp(name);
      assert.match(text, new RegExp(`^Usage: edgicorn ${name}`));
      assert.ok(text.toLowerCase().includes(help));
      for (const line of text.split("\n")) assert.match(line, /^[ -~]{0,80}$/);
    });
  }

  it("lists the flags of the command, and no others", () => {
    const settings = SETTING_NAMES.map((name) => `  --${flagName(name)}`);
    assert.deepEqual(flags(formatCommandHelp("reload")), [
      "  --state-dir",
      "  --config",
      "  --env-file",
      "  --json",
    ]);
    const start = [...settings, "  --config", "  --env-file"].toSorted();
    assert.deepEqual(flags(formatCommandHelp("start")).toSorted(), start);
    // The flags of start stand in its own help only.
    for (const name of ["dev", "check"] as const) {
      assert.deepEqual(flags(formatCommandHelp(name)), []);
      assert.match(formatCommandHelp(name), /"edgicorn help start" lists them/);
    }
    const drill = ["  --brief", "  --json", "  --only", "  --path", "  --seconds"].toSorted();
    assert.deepEqual(flags(formatCommandHelp("drill")).toSorted(), drill);
  });
});

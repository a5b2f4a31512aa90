import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { formatCompletion } from "../../../runtime/cli/completion/format-completion.ts";
import { listFlags } from "../../../runtime/cli/completion/completed-flags.ts";
import { COMMANDS } from "../../../runtime/cli/commands.ts";
import { flagName, SETTING_NAMES } from "../../../runtime/config/settings.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

const BASH = formatCompletion("bash");

/** Asks bash for the completions of a line whose last word is incomplete. */
function complete(words: readonly string[], cwd = "/"): string[] {
  const script = `${BASH}
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_edgicorn
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const output = execFileSync("bash", ["-c", script, "bash", "edgicorn", ...words], {
    encoding: "utf8",
    cwd,
  });
  return output.split("\n").filter((word) => word !== "");
}

function hasShell(name: string): boolean {
  return spawnSync(name, ["--version"]).error === undefined;
}

describe("formatCompletion()", () => {
  const cases: [words: string[], completions: string[]][] = [
    [["re"], ["reload", "recycle"]],
    [["r"], ["reload", "rollback", "routes", "recycle"]],
    [["ex"], ["explain"]],
    [
      ["help", "st"],
      ["start", "status", "stop"],
    ],
    [
      ["completion", ""],
      ["bash", "zsh", "fish"],
    ],
    [
      ["reload", "--"],
      ["--state-dir", "--config", "--env-file", "--json", "--help"],
    ],
    [
      ["explain", "--c"],
      ["--config", "--client"],
    ],
    [
      ["logs", "--s"],
      ["--state-dir", "--status", "--slower"],
    ],
    [["prune", "-"], ["--help"]],
    [["--body-l"], ["--body-limit"]],
    [["start", "--http", "80", "--https-r"], ["--https-redirect"]],
    [["--http", "reload", "--brief"], []],
    [
      ["init", "--template", "h"],
      ["hello", "hono"],
    ],
    [
      ["start", "--https-redirect", "o"],
      ["on", "off"],
    ],
    [["start", "--http", ""], ["off"]],
    [["explain", "--client", ""], []],
    [["status", ""], []],
  ];
  for (const [words, completions] of cases) {
    it(`completes "${words.join(" ")}" in bash`, () => {
      assert.deepEqual(complete(words), completions);
    });
  }

  it("completes names of files in bash", (t) => {
    const dir = temporaryFolder(t);
    mkdirSync(join(dir, "site"));
    writeFileSync(join(dir, "site config.ts"), "");
    const found = complete(["check", "--config", "si"], dir);
    assert.deepEqual(found.toSorted(), ["site", "site config.ts"]);
  });

  for (const shell of ["bash", "zsh", "fish"] as const) {
    const skip = hasShell(shell) ? false : `no ${shell}`;
    it(`is a script that ${shell} can read`, { skip }, (t) => {
      const file = join(temporaryFolder(t), "script");
      writeFileSync(file, formatCompletion(shell));
      const { status, stderr } = spawnSync(shell, ["-n", file], { encoding: "utf8" });
      assert.deepEqual([status, stderr], [0, ""]);
    });

    it(`names every command and flag for ${shell}`, () => {
      const script = formatCompletion(shell);
      for (const { name } of COMMANDS) assert.match(script, new RegExp(`\\b${name}\\b`));
      for (const name of SETTING_NAMES) {
        assert.match(script, new RegExp(`(?:--|-l )${flagName(name)}\\b`));
      }
    });
  }

  it("completes flags in fish", { skip: hasShell("fish") ? false : "no fish" }, () => {
    const script = `${formatCompletion("fish")}\ncomplete -C "edgicorn explain --cl"`;
    const { stdout } = spawnSync("fish", ["-c", script], { encoding: "utf8" });
    assert.match(stdout, /^--client\taddress of the client/m);
  });
});

describe("listFlags()", () => {
  it("has each flag of a command once", () => {
    for (const { name } of COMMANDS) {
      const flags = listFlags(name).map(({ flag }) => flag);
      assert.deepEqual(flags, [...new Set(flags)], name);
    }
  });
});

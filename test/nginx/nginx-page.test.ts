import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { FILE_SETTING_NAMES } from "../../runtime/config/file-settings.ts";
import { SETTINGS } from "../../runtime/config/settings.ts";
import { DIFFERENCES } from "./differences.ts";

const PAGE = readFileSync("docs/nginx.md", "utf8");

/** Words in the right column that are neither settings nor keys of rules. */
const OTHER_WORDS: ReadonlySet<string> = new Set([
  "before",
  "copy",
  "dryRun",
  "location",
  "taskset",
]);

/** Returns the cells of the rows below a heading. */
function rowsBelow(heading: string): string[][] {
  const [, part = ""] = PAGE.split(`## ${heading}\n`);
  const [section = ""] = part.split("\n## ");
  return section
    .split("\n")
    .filter((line) => line.startsWith("| "))
    .slice(2)
    .map((line) => line.split(" | ").map((cell) => cell.replaceAll(/^\| | \|$/g, "")));
}

function wordsIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+)`/g)].map(([, word = ""]) => word);
}

/** Keys of a rule and of a site, from the types that an editor shows. */
function keysInTypes(): Set<string> {
  const files = ["runtime/config/user-config.ts", "runtime/config/proxy-setting.ts"];
  const source = files.map((path) => readFileSync(path, "utf8")).join("\n");
  return new Set([...source.matchAll(/^ {2}(\w+)\??:/gm)].map(([, key = ""]) => key));
}

describe("docs/nginx.md", () => {
  it("lists all known differences", () => {
    for (const { reason } of DIFFERENCES) assert.ok(PAGE.includes(`- ${reason}.`), reason);
  });

  it("names at least 80 directives, each once", () => {
    const directives = rowsBelow("Directives").flatMap(([left = ""]) => wordsIn(left));
    assert.deepEqual(directives.toSorted(), [...new Set(directives)].toSorted());
    assert.ok(directives.length >= 80, `${directives.length}`);
  });

  it("names settings and keys of rules that exist", () => {
    const known = new Set([...Object.keys(SETTINGS), ...FILE_SETTING_NAMES, ...keysInTypes()]);
    const named = rowsBelow("Directives").flatMap(([, right = ""]) => wordsIn(right));
    const unknown = named.filter(
      (word) => /^[a-z][A-Za-z]*$/.test(word) && !known.has(word) && !OTHER_WORDS.has(word),
    );
    assert.deepEqual(unknown, []);
  });
});

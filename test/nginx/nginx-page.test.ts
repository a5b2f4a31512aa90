import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { FILE_SETTING_NAMES } from "../../runtime/config/file-settings.ts";
import { SETTINGS } from "../../runtime/config/settings.ts";
import { DIFFERENCES } from "./differences.ts";
import { type Evidence, EVIDENCE } from "./evidence.ts";
import { toNginxConfig } from "./nginx-config.ts";
import { QUESTIONS } from "./requests.ts";

const PAGE = readFileSync("docs/nginx.md", "utf8");

/** Words in the right column that are neither settings nor keys of rules. */
const OTHER_WORDS: ReadonlySet<string> = new Set([
  "before",
  "copy",
  "dryRun",
  "location",
  "taskset",
]);

/** Directives whose rows are compared with the default of Nginx, or with another directive of the row. */
const DEFAULTS: ReadonlySet<string> = new Set([
  "dav_methods",
  "etag",
  "if_modified_since",
  "merge_slashes",
  "mp4",
  "server_name_in_redirect",
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
  const files = ["user-config", "proxy-setting", "cache-setting"];
  const source = files.map((name) => readFileSync(`runtime/config/${name}.ts`, "utf8")).join("\n");
  // Members of the setting `cache` stand deeper.
  return new Set([...source.matchAll(/^ {2,6}(\w+)\??:/gm)].map(([, key = ""]) => key));
}

/** Returns the first directive of each row. */
function rowNames(): string[] {
  return rowsBelow("Directives").map(([left = ""]) => wordsIn(left)[0] ?? left);
}

/** Returns the reason why evidence shows nothing; `null`: it exists. */
function findGap(evidence: Evidence): string | null {
  if ("reason" in evidence) return null;
  if ("compared" in evidence) {
    const { compared } = evidence;
    return QUESTIONS.some(({ group }) => group === compared) ? null : `no requests of ${compared}`;
  }
  const path = `test/${evidence.test}.test.ts`;
  if (!existsSync(path)) return `no file ${path}`;
  return readFileSync(path, "utf8").includes(evidence.title) ? null : `no test in ${path}`;
}

describe("docs/nginx.md", () => {
  it("has evidence for each row", () => {
    assert.deepEqual(Object.keys(EVIDENCE).toSorted(), rowNames().toSorted());
    const gaps = Object.entries(EVIDENCE).flatMap(([name, evidence]) => {
      const gap = findGap(evidence);
      return gap === null ? [] : [`${name}: ${gap}`];
    });
    assert.deepEqual(gaps, []);
  });

  it("has rows that the comparison covers in the configuration of Nginx", () => {
    const file = { root: "/r", htpasswd: "/h", certificate: "/c", key: "/k" };
    const config = toNginxConfig({ http: "/http", https: "/https" }, file);
    const isConfigured = (name: string): boolean => DEFAULTS.has(name) || config.includes(name);
    const compared = Object.entries(EVIDENCE).filter(([, evidence]) => "compared" in evidence);
    const missing = compared.filter(([name]) => !name.split(" ... ").every(isConfigured));
    assert.deepEqual(
      missing.map(([name]) => name),
      [],
    );
  });

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

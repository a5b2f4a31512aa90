import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as z from "zod/mini";

const ROOT = join(import.meta.dirname, "..");
const packages = z.record(z.string(), z.string());
const manifest = z.object({ dependencies: packages, optionalDependencies: packages });

function read(...path: string[]): string {
  return readFileSync(join(ROOT, ...path), "utf8");
}

/** Rows of the first table: the package in backquotes, its publisher, its licence. */
const rows = read("docs/dependencies.md")
  .split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .filter((cells) => cells.length === 6 && cells[1]?.startsWith("`") === true)
  .map(([, name = "", publisher = "", licence = ""]) => ({
    name: /`([^`]+)`/.exec(name)?.[1] ?? "",
    publisher,
    licence,
  }))
  .filter(({ licence }) => /MIT|Apache|BSD|ISC/.test(licence));

describe("docs/dependencies.md", () => {
  it("lists each dependency that an application gets, and no other", () => {
    const { dependencies, optionalDependencies } = manifest.parse(JSON.parse(read("package.json")));
    assert.deepEqual(
      rows.map(({ name }) => name).toSorted(),
      Object.keys({ ...dependencies, ...optionalDependencies }).toSorted(),
    );
  });

  it("names the publisher and the licence of each", () => {
    for (const { name, publisher, licence } of rows) {
      const installed = z
        .object({ license: z.string() })
        .parse(JSON.parse(read("node_modules", name, "package.json")));
      assert.match(licence, new RegExp(`^${installed.license}\\b`), name);
      assert.notEqual(publisher, "", name);
    }
  });
});

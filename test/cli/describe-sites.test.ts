import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { describeSites } from "../../runtime/cli/describe-sites.ts";
import { listSitePlaces, readSites } from "../../runtime/config/read-sites.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("describeSites()", () => {
  it("names the first sites and counts the others", (t) => {
    const folder = temporaryFolder(t);
    const describeFor = (names: readonly string[]): string | null =>
      describeSites(readSites(Object.fromEntries(names.map((name) => [name, {}])), folder));
    const cases: [names: string[], expected: string | null][] = [
      [[], null],
      [["default"], null],
      [["a.example"], "1 site (a.example)"],
      [["b.example", "default", "a.example"], "2 sites (a.example, b.example)"],
      [["a", "b", "c", "d", "e"], "5 sites (a, b, c, d, e)"],
      [["a", "b", "c", "d", "e", "f"], "6 sites (a, b, c, d, 2 more)"],
    ];
    for (const [names, expected] of cases) assert.equal(describeFor(names), expected);
  });

  it("counts sites that only have a folder", (t) => {
    const folder = temporaryFolder(t);
    mkdirSync(join(folder, "sites/a.example/public"), { recursive: true });
    mkdirSync(join(folder, "sites/b.example/drafts"), { recursive: true });
    assert.equal(describeSites(readSites({}, folder)), "1 site (a.example)");
  });
});

describe("listSitePlaces()", () => {
  it("has the parts of each folder whose name is a host name, whether they exist or not", (t) => {
    const folder = temporaryFolder(t);
    assert.deepEqual(listSitePlaces(folder), []);
    for (const name of ["a.example", "*.b.example", "Not a host", "default"]) {
      mkdirSync(join(folder, "sites", name), { recursive: true });
    }
    const places = ["*.b.example", "a.example"].flatMap((name) =>
      ["handlers", "public", "certs"].map((part) => join(folder, "sites", name, part)),
    );
    assert.deepEqual(listSitePlaces(folder).toSorted(), places.toSorted());
  });
});

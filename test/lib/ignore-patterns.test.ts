import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { IgnorePatterns } from "../../runtime/lib/ignore-patterns.ts";

/** The lines of a file, paths that it hides, and paths that it does not hide. A folder has a slash at its end. */
type Case = readonly [lines: string, hidden: string[], others: string[]];

const CASES: readonly Case[] = [
  ["", [], ["a", "a/"]],
  ["# a\n\n  \n!\n/", [], ["a", "# a", "!", "/"]],
  ["\uFEFFa\r\nb\r\n", ["a", "b"], ["c"]],
  ["a", ["a", "a/", "a/b", "x/a", "x/y/a/b", "A"], ["ab", "x/ab", "b"]],
  ["/a", ["a", "a/b"], ["x/a", "x/a/b"]],
  ["a/b", ["a/b", "a/b/c"], ["x/a/b", "a", "b"]],
  ["a/", ["a/", "a/b", "x/a/b"], ["a", "x/a"]],
  ["/a/b/", ["a/b/", "a/b/c"], ["a/b", "x/a/b/c"]],
  ["*.map", ["a.map", "x/y/a.b.map", ".map", "a.map/b"], ["a.mapx", "map", "a.map.gz"]],
  ["/x/*.map", ["x/a.map"], ["x/y/a.map", "a.map"]],
  ["a*b*c", ["abc", "a1b2c", "x/aabbcc"], ["ab", "ab/c"]],
  ["a*b*b*c", ["abbc", "abxbbxc"], ["abc", "abbcx", "ab/bc"]],
  ["*ab*?b", ["abxb", "xabbb", "ababab"], ["abb", "ab/b"]],
  ["a*/*/b*", ["a/x/b", "ax/y/bz/c"], ["a/b", "a/x/c", "x/a/x/b"]],
  ["**/a/**/b/**/c", ["a/b/c", "x/a/a/b/y/b/c", "a/b/b/c/d"], ["a/c/b", "a/xb/c", "b/c"]],
  ["a/**/**/b/**", ["a/b/c", "a/x/y/b/c"], ["a/b", "b/c", "x/a/b/c"]],
  ["a?c", ["abc", "a-c"], ["ac", "abbc", "a/c"]],
  ["/*", ["a", "a/b"], []],
  ["*", ["a", "x/y/z"], []],
  ["**", ["a", "x/y/z"], []],
  ["**/a", ["a", "x/a", "x/y/a/b"], ["xa", "x/ya"]],
  ["a/**", ["a/b", "a/b/c"], ["a", "a/", "x/a/b"]],
  ["a/**/b", ["a/b", "a/x/b", "a/x/y/b/c"], ["ab", "x/a/b", "a/xb"]],
  ["x**y", ["xy", "x1y", "z/xy"], ["x/y"]],
  ["[ab]", ["a", "b", "x/a"], ["c", "ab"]],
  ["[a-c]x", ["ax", "cx"], ["dx", "-x"]],
  ["[!a]x", ["bx", "x/cx"], ["ax", "x"]],
  ["[^a]x", ["bx"], ["ax"]],
  ["a[!b]c", ["axc"], ["abc", "a/c"]],
  ["[]a]", ["]", "a"], ["b"]],
  ["[c-a]", ["c"], ["a", "b", "-"]],
  ["[a-]", ["a", "-"], ["b"]],
  ["[\\]\\-]", ["]", "-"], ["\\"]],
  ["[[:digit:].]x", ["1x", ".x"], ["ax", ":x"]],
  ["[[:nothing:]]", [":]", "n]"], ["n"]],
  ["a[b\n[", [], ["a[b", "ab", "["]],
  ["\\*\n\\!a\n\\#b\n\\\\c", ["*", "!a", "#b", "\\c"], ["a", "c"]],
  ["a ", ["a"], ["a "]],
  ["a\\ ", ["a "], ["a"]],
  ["a.b+(c)|{d}^$", ["a.b+(c)|{d}^$"], ["axb+(c)|{d}^$"]],
  ["\u{1F600}?", ["\u{1F600}\u{1F601}"], ["\u{1F600}"]],
  ["*.map\n!keep.map", ["a.map", "x/b.map"], ["keep.map", "x/keep.map"]],
  ["!keep.map\n*.map", ["keep.map"], []],
  ["*.map\n!*.map\n/a.map", ["a.map"], ["b.map", "x/a.map"]],
  // No line brings back a file in an ignored folder.
  ["x\n!x/a", ["x/a", "x/b"], []],
  ["x/*\n!x/a", ["x/b"], ["x/a", "x"]],
  ["*\n!*/\n!*.html", ["a.js", "x/a.js"], ["a.html", "x/y/a.html", "x/"]],
];

describe("IgnorePatterns", () => {
  for (const [lines, hidden, others] of CASES) {
    it(JSON.stringify(lines), () => {
      const patterns = new IgnorePatterns(lines);
      const hides = (path: string): boolean =>
        patterns.hides(path.replace(/(?<=.)\/$/, ""), path.endsWith("/"));
      for (const path of hidden) assert.equal(hides(path), true, path);
      for (const path of others) assert.equal(hides(path), false, path);
    });
  }

  it("takes no time that grows with each wildcard", { timeout: 60_000 }, () => {
    const letters = "a".repeat(255);
    const folders = "aa/".repeat(1000);
    for (const [line, path] of [
      [`${"*a".repeat(8)}*b`, letters],
      [`${"*?a".repeat(8)}*[bc]`, letters],
      ["*-*-*-*-*-*-*-*.map", "a-".repeat(127)],
      [`${"*?".repeat(120)}b`, letters],
      [`${"**/aa/".repeat(8)}**/b`, `${folders}a`],
      [`${"**/*a*/".repeat(8)}**/b`, `${folders}a`],
      [`${"**/".repeat(300)}b`, `${folders}a`],
    ] as const) {
      const patterns = new IgnorePatterns(line);
      assert.equal(patterns.hides(path, false), false, line);
      assert.equal(patterns.hides(`${path}b.map`, false), line.endsWith(".map"), line);
      assert.equal(patterns.hides(path.replace(/.$/, "b"), false), !line.endsWith(".map"), line);
    }
  });

  it("takes any text, and hides all that is below a hidden folder", () => {
    const characters = "ab/*?[]!\\-^ #\n\r:".split("");
    const text = fc.string({ unit: fc.constantFrom(...characters, "[:alpha:]"), maxLength: 20 });
    const name = fc.constantFrom("a", "b", "ab", "-", "[");
    fc.assert(
      fc.property(text, fc.array(name, { minLength: 1, maxLength: 3 }), (lines, names) => {
        const patterns = new IgnorePatterns(lines);
        const path = names.join("/");
        if (patterns.hides(path, true)) assert.equal(patterns.hides(`${path}/x`, false), true);
        assert.equal(patterns.hides(path.toUpperCase(), true), patterns.hides(path, true));
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { cacheRules } from "../../runtime/config/cache-rules.ts";
import { parseFileGlob } from "../../runtime/lib/file-glob.ts";

const type = cacheRules();

describe("cacheRules()", () => {
  it("reads values, times and words", () => {
    const input = {
      "/assets/**": "immutable",
      "*.pdf": "1d",
      "/a.js": "public, max-age=60, stale-while-revalidate=30",
      "/b.js": false,
      "/c.js": "off",
    };
    assert.deepEqual(type.parse(input)?.value, {
      isAutomatic: true,
      rules: [
        ["/assets/**", "public, max-age=31536000, immutable"],
        ["*.pdf", "public, max-age=86400"],
        ["/a.js", "public, max-age=60, stale-while-revalidate=30"],
        ["/b.js", null],
        ["/c.js", null],
      ],
    });
    assert.deepEqual(type.parse(false)?.value, { isAutomatic: false, rules: [] });
  });

  it("names the pattern and the value that it cannot use", () => {
    const rows: [unknown, string | undefined][] = [
      [{ "/a/*": "1d" }, '["/a/*"]'],
      [{ "a/b.js": "1d" }, '["a/b.js"]'],
      [{ "": "1d" }, '[""]'],
      [{ "/a": "1 day" }, '["/a"]'],
      [{ "/a": "no-cache\r\nx: y" }, '["/a"]'],
      [{ "/a": 60 }, '["/a"]'],
      [{ "/a": "60" }, '["/a"]'],
      [{ "/a": true }, '["/a"]'],
      ["yes", undefined],
      [["/a"], undefined],
    ];
    for (const [input, key] of rows) {
      assert.equal(type.parse(input), null, JSON.stringify(input));
      assert.equal(type.explain?.(input)?.key, key);
    }
  });
});

describe("parseFileGlob()", () => {
  const rows: [pattern: string, yes: string[], no: string[]][] = [
    ["/a/**", ["/a/b", "/a/b/c.js"], ["/a", "/ab/c", "/x/a/b"]],
    ["/a/*.js", ["/a/b.js", "/a/.js"], ["/a/b/c.js", "/a/b.jsx"]],
    ["/**/x.css", ["/x.css", "/a/x.css", "/a/b/x.css"], ["/a/yx.css"]],
    ["*.min.js", ["/a.min.js", "/b/a.min.js"], ["/a-min.js", "/a.min.js/b"]],
    ["a+(b).txt", ["/a+(b).txt"], ["/aab.txt"]],
  ];
  for (const [pattern, yes, no] of rows) {
    it(pattern, () => {
      const expression = parseFileGlob(pattern);
      for (const path of yes) assert.ok(expression?.test(path), path);
      for (const path of no) assert.ok(expression?.test(path) === false, path);
    });
  }
});

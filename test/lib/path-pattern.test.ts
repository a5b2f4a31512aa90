import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  matchesPattern,
  parsePathPattern,
  parseSplatPattern,
  readPatternValues,
} from "../../runtime/lib/path-pattern.ts";

/** Returns the values of a path that matches; `null`: it does not match. */
function match(text: string, key: string): Record<string, string> | null {
  const pattern = parsePathPattern(text);
  assert.ok(!("expected" in pattern), text);
  return matchesPattern(pattern, key) ? readPatternValues(pattern, key) : null;
}

describe("parsePathPattern()", () => {
  const cases: [pattern: string, key: string, values: Record<string, string> | null][] = [
    ["/", "/", {}],
    ["/", "/a", null],
    ["/about", "/about", {}],
    ["/about/", "/about", {}],
    ["/about", "/About", null],
    ["/about", "/about/us", null],
    ["/caf%c3%a9 au lait", "/caf%C3%A9%20au%20lait", {}],
    ["/a%2Fb", "/a%2Fb", {}],
    ["/a%2Fb", "/a/b", null],
    ["/a.b", "/axb", null],
    ["/admin/**", "/admin", { splat: "" }],
    ["/admin/**", "/admin/a/b", { splat: "a/b" }],
    ["/admin/**", "/administrator", null],
    ["/**", "/", { splat: "" }],
    ["/**", "/a/b", { splat: "a/b" }],
    ["/users/:id", "/users/7", { id: "7" }],
    ["/users/:id", "/users", null],
    ["/users/:id", "/users/7/edit", null],
    ["/users/:id/**", "/users/7/a/b", { id: "7", splat: "a/b" }],
    ["/assets/*.css", "/assets/a.css", {}],
    ["/assets/*.css", "/assets/a/b.css", null],
    ["/users/*/edit", "/users/7/edit", {}],
    ["/**/*.js", "/a/b/c.js", { splat: "a/b" }],
    ["/**/*.js", "/c.js", { splat: "" }],
    ["/**/*.js", "/c.js/d", null],
  ];
  for (const [pattern, key, values] of cases) {
    it(`compares ${pattern} with ${key}`, () => assert.deepEqual(match(pattern, key), values));
  }

  it("refuses other text", () => {
    const wrong = ["", "admin", "/a//b", "/a/../b", "/a?b", "/a#b", "/%zz", "/:", "/:1", "/a**b"];
    const more = ["/*a*", "/:a/:a", "/**/**", "/\ud800", "/a\\b", "/a/./b"];
    for (const text of [...wrong, ...more]) assert.ok("expected" in parsePathPattern(text), text);
  });

  it("asks for the meaning of a segment * at the end", () => {
    assert.deepEqual(parsePathPattern("/admin/*"), {
      expected: '"/admin/**" (all below it) or "/admin/:name" (one segment)',
    });
  });
});

describe("parseSplatPattern()", () => {
  const cases: [pattern: string, key: string, values: Record<string, string> | null][] = [
    ["/", "/", {}],
    ["/a/b/", "/a/b", {}],
    ["/a", "/b", null],
    ["/*", "/", { splat: "" }],
    ["/*", "/a/b", { splat: "a/b" }],
    ["/blog/*", "/blog", { splat: "" }],
    ["/blog/*", "/blog/a/b", { splat: "a/b" }],
    ["/blog/*", "/blogs", null],
    ["/*.jpg", "/a/b.jpg", { splat: "a/b" }],
    ["/foo*", "/foobar/x", { splat: "bar/x" }],
    ["/a/*/z", "/a/b/c/z", { splat: "b/c" }],
    ["/a/:b/c/*", "/a/x/c/y", { b: "x", splat: "y" }],
    ["/wiki/Special:All", "/wiki/Special%3AAll", {}],
  ];
  for (const [text, key, values] of cases) {
    it(`compares ${text} with ${key}`, () => {
      const pattern = parseSplatPattern(text);
      assert.ok(!("expected" in pattern), text);
      const isSame = matchesPattern(pattern, key);
      assert.deepEqual(isSame ? readPatternValues(pattern, key) : null, values);
    });
  }

  it("refuses other text", () => {
    for (const text of ["", "a", "/*/*", "/a?b", "/:a/:a", "/%zz"]) {
      assert.ok("expected" in parseSplatPattern(text), text);
    }
  });
});

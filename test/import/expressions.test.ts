import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { matchExpression } from "../../runtime/cli/import/nginx-expressions.ts";
import { parsePathPattern } from "../../runtime/lib/path-pattern.ts";

describe("matchExpression()", () => {
  const cases: readonly [expression: string, paths: string[] | null][] = [
    [String.raw`\.php$`, ["/**/*.php"]],
    [String.raw`[^/]\.php(/|$)`, ["/**/*.php", "/*.php/**"]],
    [String.raw`\.php(?:$|/)`, ["/**/*.php", "/*.php/**"]],
    [String.raw`^.+\.php$`, ["/**/*.php"]],
    [String.raw`\.(?:css|js)$`, ["/**/*.css", "/**/*.js"]],
    [String.raw`\.(jpe?g|png)$`, ["/**/*.jpg", "/**/*.jpeg", "/**/*.png"]],
    [String.raw`\.tar\.gz$`, ["/**/*.tar.gz"]],
    ["^/(assets|avatars)/", ["/assets/**", "/avatars/**"]],
    ["^/(?:build|data)(?:$|/)", ["/build/**", "/data/**"]],
    ["^/app(/|$)", ["/app/**"]],
    ["^/app/", ["/app/**"]],
    ["^/app", ["/app*/**"]],
    ["^/app$", ["/app"]],
    ["^/app/?$", ["/app"]],
    [String.raw`^/(letter/|user)`, ["/letter/**", "/user*/**"]],
    [String.raw`^/uploads/.*\.php$`, ["/uploads/**/*.php"]],
    [String.raw`^/(?:uploads|files)/.*\.php$`, ["/uploads/**/*.php", "/files/**/*.php"]],
    [String.raw`^/blog/(\d+)/(.*)$`, ["/blog/:p1/**"]],
    ["^/u/([^/]+)$", ["/u/:p1"]],
    [String.raw`^/api/[1-9]\d*/`, ["/api/:px5/**"]],
    [String.raw`^/api/\d+`, ["/api/:px5/**"]],
    ["^/(.*)$", ["/**"]],
    ["^(.*)$", ["/**"]],
    ["^(/.*)$", ["/**"]],
    [".*", ["/**"]],
    ["^/", ["/**"]],
    // No pattern says the same.
    ["/favicon.ico", null],
    [String.raw`assets/.*\.(eot|ttf)$`, null],
    ["^/a(?!b)", null],
    ["^/(a|b", null],
    [String.raw`^/a\d+b$`, null],
    ["(?:#.*#|~)$", null],
    ["(a|b)".repeat(20), null],
    ["^/a".padEnd(5_000, "a"), null],
  ];
  for (const [expression, paths] of cases) {
    it(`reads ${expression.slice(0, 50)}`, () => {
      assert.deepEqual(matchExpression(expression)?.map(({ path }) => path) ?? null, paths);
    });
  }

  it("gives groups the names of parameters", () => {
    const [match] = matchExpression(String.raw`^/blog/(\d+)/(?<slug>.*)$`) ?? [];
    assert.deepEqual(
      [...(match?.groups ?? [])],
      [
        ["1", ":p1"],
        ["2", ":splat"],
        ["slug", ":splat"],
      ],
    );
    assert.equal(match?.isWider, true);
    const fixed = matchExpression("^/(a|b)/(.*)$")?.map(({ groups }) => groups.get("1"));
    assert.deepEqual(fixed, ["a", "b"]);
  });

  it("returns patterns that rules take, or null", () => {
    const parts = fc.constantFrom(
      ..."^ / a b.c \\. \\.php .* (.*) (a|b) (?:x|y/z) [^/]+ ([^/]+) \\d+ (\\w+) $ (/|$) ? ( ) | [ {2} (?<n>.*)".split(
        " ",
      ),
    );
    fc.assert(
      fc.property(fc.array(parts, { maxLength: 8 }), (words) => {
        for (const { path } of matchExpression(words.join("")) ?? []) {
          assert("expression" in parsePathPattern(path), `${words.join("")} gave ${path}`);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it("takes only paths that the expression takes, where it has no parameters", () => {
    const expressions = cases.filter(([, paths]) => paths?.every((path) => !path.includes(":")));
    const paths = [
      "/",
      "/a",
      "/app",
      "/apple",
      "/app/x",
      "/x.php",
      "/a/b.php",
      "/x.css",
      "/build/x",
    ];
    for (const [expression, patterns] of expressions) {
      for (const path of paths) {
        const isTaken = (patterns ?? []).some((pattern) => {
          const parsed = parsePathPattern(pattern);
          return "expression" in parsed && parsed.expression.test(path);
        });
        // A rule also takes a path without its slash at the end, and with one.
        const isExpected = [path, `${path}/`].some((one) => new RegExp(expression).test(one));
        assert.equal(isTaken, isExpected, `${expression} and ${path}`);
      }
    }
  });
});

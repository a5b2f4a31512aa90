import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { createMatcher } from "../../runtime/route/match.ts";
import type { Match } from "../../runtime/route/match.ts";
import { formatPattern, parsePattern } from "../../runtime/route/pattern.ts";
import type { Segment } from "../../runtime/route/pattern.ts";

function matcherOf(
  routes: string[],
  fallbacks: string[] = [],
): (pathname: string) => string | null {
  const match = createMatcher({
    routes: routes.map((pattern) => ({ pattern })),
    fallbacks: fallbacks.map((pattern) => ({ pattern })),
  });
  return (pathname) => {
    const found = match(pathname);
    if (found === null) return null;
    if ("fallback" in found) return `fallback ${fallbacks[found.fallback]}`;
    return [routes[found.route], found.params && JSON.stringify(found.params)]
      .filter(Boolean)
      .join(" ");
  };
}

describe("createMatcher()", () => {
  const routes = [
    "/",
    "/hello",
    "/café",
    "/a b",
    "/a\\:b\\(c\\)\\*",
    "/100%25",
    "/index.html",
    "/users/:id",
    "/users/me",
    "/users/:id/posts/:post_id",
    "/users/:id/**:tail",
    "/feed/:id.json",
    "/feed/:name",
    "/feed/x-:id",
    "/feed/x-:id.json",
    "/docs/**:path",
    "/docs/intro",
    "/docs/:page/edit",
  ];
  const cases: [pathname: string, found: string | null][] = [
    ["/", "/"],
    ["//", null],
    ["/hello", "/hello"],
    ["/hello/", "/hello"],
    ["/hello//", null],
    ["//hello", null],
    ["/Hello", null],
    ["/%68ello", "/hello"],
    ["/hello%2F", null],
    ["/caf%C3%A9", "/café"],
    ["/caf%c3%a9", "/café"],
    ["/caf%C3", null],
    ["/a%20b", "/a b"],
    ["/a+b", null],
    ["/a:b(c)*", "/a\\:b\\(c\\)\\*"],
    ["/a%3Ab%28c%29%2A", "/a\\:b\\(c\\)\\*"],
    ["/100%25", "/100%25"],
    ["/100%", null],
    ["/100%2525", null],
    ["/users", null],
    ["/users/", null],
    ["/users/7", '/users/:id {"id":"7"}'],
    ["/users/7/", '/users/:id {"id":"7"}'],
    ["/users/me", "/users/me"],
    ["/users/%6de", "/users/me"],
    ["/users/a%2Fb%20c", '/users/:id {"id":"a/b c"}'],
    ["/users/%zz", '/users/:id {"id":"%zz"}'],
    ["/users/%ff", '/users/:id {"id":"%ff"}'],
    ["/users/a:b@c+d", '/users/:id {"id":"a:b@c+d"}'],
    ["/users/%E2%82%AC", '/users/:id {"id":"€"}'],
    ["/users/7/posts/8", '/users/:id/posts/:post_id {"id":"7","post_id":"8"}'],
    ["/users/7/posts", '/users/:id/**:tail {"id":"7","tail":"posts"}'],
    ["/users/me/posts", '/users/:id/**:tail {"id":"me","tail":"posts"}'],
    ["/users//posts/8", null],
    ["/feed/1.json", '/feed/:id.json {"id":"1"}'],
    ["/feed/1%2Ejson", '/feed/:id.json {"id":"1"}'],
    ["/feed/.json", '/feed/:name {"name":".json"}'],
    ["/feed/1.xml", '/feed/:name {"name":"1.xml"}'],
    ["/feed/x-1", '/feed/x-:id {"id":"1"}'],
    ["/feed/x-1.json", '/feed/x-:id.json {"id":"1"}'],
    ["/feed/a%2Fb.json", '/feed/:id.json {"id":"a/b"}'],
    ["/docs", '/docs/**:path {"path":""}'],
    ["/docs/", '/docs/**:path {"path":""}'],
    ["/docs/intro", "/docs/intro"],
    ["/docs/a", '/docs/**:path {"path":"a"}'],
    ["/docs/a/b/", '/docs/**:path {"path":"a/b"}'],
    ["/docs/a//b", '/docs/**:path {"path":"a//b"}'],
    ["/docs//a", '/docs/**:path {"path":"/a"}'],
    ["/docs/a/edit", '/docs/:page/edit {"page":"a"}'],
    ["/docs/a/edit/b", '/docs/**:path {"path":"a/edit/b"}'],
    ["/docs/caf%C3%A9/%zz", '/docs/**:path {"path":"café/%zz"}'],
    ["/docs/..%2F..%2Fetc/a%20b", '/docs/**:path {"path":"..%2F..%2Fetc/a b"}'],
    ["/__proto__", null],
    ["/constructor", null],
    ["/users/__proto__/constructor", '/users/:id/**:tail {"id":"__proto__","tail":"constructor"}'],
  ];
  for (const [pathname, found] of cases) {
    it(`leads ${pathname} to ${found}`, () => {
      assert.equal(matcherOf(routes)(pathname), found);
    });
  }

  it("gives a root rest everything, the root included", () => {
    const match = matcherOf(["/**:path"]);
    assert.equal(match("/"), '/**:path {"path":""}');
    assert.equal(match("/a/b"), '/**:path {"path":"a/b"}');
    assert.equal(match("//a"), '/**:path {"path":"/a"}');
  });

  it("does not find the text after a parameter inside an encoded character", () => {
    const match = matcherOf(["/:id\\0"]);
    assert.equal(match("/a%20"), null);
    assert.equal(match("/a%200"), '/:id\\0 {"id":"a "}');
  });

  it("takes the fallback of the nearest folder when no route matches", () => {
    const match = matcherOf(
      ["/docs/a", "/x/:id"],
      ["/**", "/docs/**", "/docs/:lang/**", "/docs/en/**"],
    );
    assert.equal(match("/docs/a"), "/docs/a");
    assert.equal(match("/nothing"), "fallback /**");
    assert.equal(match("/"), "fallback /**");
    assert.equal(match("/x//"), "fallback /**");
    assert.equal(match("/docs"), "fallback /docs/**");
    assert.equal(match("/docs/fr/b"), "fallback /docs/:lang/**");
    assert.equal(match("/docs/en/b"), "fallback /docs/en/**");
    assert.equal(match("/docs/%65n/b"), "fallback /docs/en/**");
  });

  it("allocates nothing for a route without parameters", () => {
    const match = createMatcher({ routes: [{ pattern: "/a" }], fallbacks: [{ pattern: "/**" }] });
    assert.equal(match("/a"), match("/a"));
    assert.equal(match("/a"), match("/%61/"));
    assert.equal(match("/b"), match("/c"));
  });

  it("answers for an empty table", () => {
    assert.equal(createMatcher({ routes: [], fallbacks: [] })("/"), null);
  });

  it("is quick with long targets made to be slow", () => {
    const match = matcherOf(["/:a/:b/:c.json", "/a/:x/a", "/:x/a/:y/b", "/x-:id-y/z"]);
    for (const part of ["a", "/", "a/", "%41/", "%", "-y", ".json"]) {
      assert.equal(match(`/x-${part.repeat(Math.floor(16_000 / part.length))}!`), null);
    }
  });

  it("agrees with a matcher that tries every route", () => {
    let hits = 0;
    fc.assert(
      fc.property(tables, fc.array(pathnames, { minLength: 10, maxLength: 30 }), (table, paths) => {
        const patterns = table.map((segments) => ({ pattern: formatPattern(segments) }));
        const match = createMatcher({ routes: patterns, fallbacks: [] });
        for (const pathname of paths) {
          const expected = matchNaively(table, pathname);
          if (expected !== null) hits++;
          assert.deepEqual(
            match(pathname),
            expected,
            `${pathname} in ${patterns.map(({ pattern }) => pattern).join(" ")}`,
          );
        }
      }),
      { numRuns: 750 },
    );
    assert.ok(hits > 5000, `only ${hits} paths matched anything`);
  });
});

const names = ["p", "q", "r", "s"];

/** Tables as the discovery makes them: no two routes of one shape. */
const tables = fc
  .uniqueArray(
    fc.tuple(
      fc.array(fc.constantFrom("a", "b", "é", ":", ":", "a:", ":b", "a:b", ":.x"), {
        maxLength: 4,
      }),
      fc.boolean(),
    ),
    {
      selector: ([parts, hasRest]) => `${parts.join("/")} ${hasRest}`,
      minLength: 1,
      maxLength: 14,
    },
  )
  .map((shapes) => shapes.map(([parts, hasRest]) => toSegments(parts, hasRest)));

function toSegments(parts: string[], hasRest: boolean): Segment[] {
  const segments = parts.map((part, index): Segment => {
    const [prefix = "", suffix] = part.split(":");
    if (suffix === undefined) return { kind: "static", text: part };
    return { kind: "param", name: names[index] ?? "", prefix, suffix };
  });
  return hasRest ? [...segments, { kind: "rest", name: "rest" }] : segments;
}

const pathnames = fc
  .tuple(
    fc.array(
      fc.oneof(
        { weight: 6, arbitrary: fc.constantFrom("a", "b", "ab", "aab", "c", "c.x", "a.x", "%61") },
        {
          weight: 2,
          arbitrary: fc.constantFrom("", "%C3%A9", "%c3%a9", "%zz", "a%2Fb", "a%62", "a:b", "%"),
        },
      ),
      { maxLength: 5 },
    ),
    fc.boolean(),
  )
  .map(([parts, slash]) => `/${parts.join("/")}${slash ? "/" : ""}`);

/** The rules of `createMatcher`, as directly as they can be written. */
function matchNaively(table: Segment[][], pathname: string): Match | null {
  const parts = pathname.replace(/\/$/, "").split("/").slice(1);
  let best: { route: number; rank: number[]; params: Record<string, string> } | null = null;
  for (const [route, segments] of table.entries()) {
    const params = matchSegments(segments, parts);
    if (params === null) continue;
    const rank = rankOf(segments);
    if (best === null || compareRanks(rank, best.rank) > 0) best = { route, rank, params };
  }
  if (best === null) return null;
  return { route: best.route, params: Object.keys(best.params).length === 0 ? null : best.params };
}

function matchSegments(segments: Segment[], parts: string[]): Record<string, string> | null {
  const params: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    if (segment.kind === "rest") {
      const values = parts.slice(index).map((part) => decode(part).value.replaceAll("/", "%2F"));
      params[segment.name ?? ""] = values.join("/");
      return index <= parts.length ? params : null;
    }
    const part = parts[index];
    if (part === undefined || part === "") return null;
    const { value, isMalformed } = decode(part);
    if (segment.kind === "static") {
      if (isMalformed || value !== segment.text) return null;
      continue;
    }
    const { prefix, suffix, name } = segment;
    const isWhole = prefix === "" && suffix === "";
    if (isMalformed && !isWhole) return null;
    if (!value.startsWith(prefix) || !value.endsWith(suffix)) return null;
    if (value.length <= prefix.length + suffix.length) return null;
    params[name] = value.slice(prefix.length, value.length - suffix.length);
  }
  return segments.length === parts.length ? params : null;
}

/** Kinds from left to right, then how many parameters have text around them, then how much text. */
function rankOf(segments: Segment[]): number[] {
  const kinds = segments.map(({ kind }) => ({ static: 3, param: 1, rest: 0 })[kind]);
  const texts = segments.map((segment) =>
    segment.kind === "param" ? segment.prefix + segment.suffix : "",
  );
  const kindRanks = Array.from({ length: 6 }, (_, index) => kinds[index] ?? 2);
  return [...kindRanks, texts.filter(Boolean).length, texts.join("").length];
}

function compareRanks(a: number[], b: number[]): number {
  for (const [index, value] of a.entries()) {
    const difference = value - (b[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function decode(part: string): { value: string; isMalformed: boolean } {
  try {
    return { value: decodeURIComponent(part), isMalformed: false };
  } catch {
    return { value: part, isMalformed: true };
  }
}

describe("createMatcher() with many routes", () => {
  it("finds each of ten thousand", () => {
    const patterns = Array.from({ length: 10_000 }, (_, index) =>
      index % 2 === 0 ? `/s${index}/x` : `/d${index}/:id/x`,
    );
    const match = createMatcher({
      routes: patterns.map((pattern) => ({ pattern })),
      fallbacks: [],
    });
    for (const [index, pattern] of patterns.entries()) {
      assert.equal(parsePattern(pattern)[0]?.kind, "static");
      const params = index % 2 === 0 ? null : { id: "7" };
      assert.deepEqual(match(pattern.replace(":id", "7")), { route: index, params });
    }
  });
});

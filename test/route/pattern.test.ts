import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";
import { addRoute, createRouter } from "rou3";

import { formatPattern, isParamName, parsePattern } from "../../runtime/route/pattern.ts";
import type { Segment } from "../../runtime/route/pattern.ts";

const texts = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...Array.from("ab0_:*?+(){}\\% .[]é-")),
      fc.string({ minLength: 1, maxLength: 1 }),
    ),
  })
  .filter((text) => !text.includes("/"));
const names = fc.stringMatching(/^[a-z_][a-z0-9_]{0,3}$/);
const inner = fc.oneof(
  texts.filter((text) => text !== "").map((text): Segment => ({ kind: "static", text })),
  fc
    .tuple(names, texts, texts)
    .map(([name, prefix, suffix]): Segment => ({ kind: "param", name, prefix, suffix })),
);
const patterns = fc
  .tuple(fc.array(inner, { maxLength: 4 }), fc.option(fc.option(names)))
  .map(([segments, rest]): Segment[] =>
    rest === null ? segments : [...segments, { kind: "rest", name: rest === "_" ? null : rest }],
  );

describe("formatPattern()", () => {
  const cases: [segments: Segment[], pattern: string][] = [
    [[], "/"],
    [[{ kind: "static", text: "café" }], "/café"],
    [
      [
        { kind: "static", text: "a:b*" },
        { kind: "static", text: "100% x" },
      ],
      "/a\\:b\\*/100%25%20x",
    ],
    [
      [
        { kind: "static", text: "api" },
        { kind: "param", name: "id", prefix: "", suffix: "" },
      ],
      "/api/:id",
    ],
    [[{ kind: "param", name: "id", prefix: "user-", suffix: ".json" }], "/user-:id.json"],
    [[{ kind: "param", name: "id", prefix: "", suffix: "x" }], "/:id\\x"],
    [
      [
        { kind: "static", text: "docs" },
        { kind: "rest", name: "path" },
      ],
      "/docs/**:path",
    ],
    [[{ kind: "rest", name: null }], "/**"],
  ];
  for (const [segments, pattern] of cases) {
    it(`writes and reads ${pattern}`, () => {
      assert.equal(formatPattern(segments), pattern);
      assert.deepEqual(parsePattern(pattern), segments);
      addRoute(createRouter(), "", pattern);
    });
  }

  it("loses nothing", () => {
    fc.assert(
      fc.property(patterns, (segments) => {
        assert.deepEqual(parsePattern(formatPattern(segments)), segments);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("parsePattern()", () => {
  for (const pattern of [
    "",
    "a",
    "//",
    "/a/",
    "/**/a",
    "/:a:b",
    "/a*",
    "/:id?",
    "/{a}",
    "/:a(x)",
    "/***",
    "/:",
    "/**:1",
  ]) {
    it(`refuses ${pattern || "nothing"}`, () => {
      assert.throws(() => parsePattern(pattern), SyntaxError);
    });
  }
});

describe("isParamName()", () => {
  it("takes identifiers and nothing that an object would treat specially", () => {
    for (const name of ["a", "_", "userId", "x2"]) assert.ok(isParamName(name), name);
    for (const name of ["", "2x", "a-b", "é", "a b", "__proto__"])
      assert.ok(!isParamName(name), name);
  });
});

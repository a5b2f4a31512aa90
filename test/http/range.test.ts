import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { MOST_RANGES, resolveRange } from "../../runtime/http/range.ts";

const whole = { kind: "whole" };
const unsatisfiable = { kind: "unsatisfiable" };
const partial = (start: number, end: number) => ({ kind: "partial", start, end });
const several = (...ranges: [number, number][]) => ({
  kind: "several",
  ranges: ranges.map(([start, end]) => ({ start, end })),
});
const many = (count: number): string =>
  `bytes=${Array.from({ length: count }, (_, at) => `${2 * at}-${2 * at}`).join(",")}`;

describe("resolveRange()", () => {
  // RFC 9110 section 14.1.2, a representation of 10,000 bytes.
  const cases: [string | undefined, object][] = [
    [undefined, whole],
    ["bytes=0-499", partial(0, 499)],
    ["bytes=500-999", partial(500, 999)],
    ["bytes=-500", partial(9500, 9999)],
    ["bytes=9500-", partial(9500, 9999)],
    ["bytes=0-0", partial(0, 0)],
    ["bytes=0-", partial(0, 9999)],
    ["bytes=-10001", partial(0, 9999)],
    ["bytes=9999-10000", partial(9999, 9999)],
    [`bytes=1-${"9".repeat(400)}`, partial(1, 9999)],
    ["BYTES=0-1", partial(0, 1)],
    ["bytes= 0-1 ", partial(0, 1)],
    ["bytes=10000-", unsatisfiable],
    ["bytes=10000-10001", unsatisfiable],
    [`bytes=${"9".repeat(400)}-`, unsatisfiable],
    ["bytes=-0", unsatisfiable],
  ];
  for (const [value, expected] of cases) {
    it(`resolves ${value?.slice(0, 30)}`, () => {
      assert.deepEqual(resolveRange(value, 10_000), expected);
    });
  }

  it("ignores a range that ends before it starts", () => {
    assert.deepEqual(resolveRange("bytes=5-4", 10_000), whole);
  });

  it("resolves several ranges, in the order of the request", () => {
    const rows: [string, object][] = [
      // RFC 9110 section 14.1.2: the first and the last byte.
      ["bytes=0-0,-1", several([0, 0], [9999, 9999])],
      ["bytes=500-600,601-999", several([500, 600], [601, 999])],
      ["bytes=900-, 0-1\t", several([900, 9999], [0, 1])],
      ["bytes=5-6,10000-,7-7", several([5, 6], [7, 7])],
      ["bytes=5-6,10000-", partial(5, 6)],
      ["bytes=10000-,20000-", unsatisfiable],
      // Overlaps would multiply the bytes.
      ["bytes=500-700,601-999", whole],
      ["bytes=0-,0-,0-", whole],
      ["bytes=5-5,5-5", whole],
      ["bytes=0-1,", whole],
      ["bytes=0-1,x", whole],
      ["bytes=0-1;2-3", whole],
    ];
    for (const [value, expected] of rows) {
      assert.deepEqual(resolveRange(value, 10_000), expected, value);
    }
    assert.equal(resolveRange(many(MOST_RANGES), 10_000).kind, "several");
    assert.deepEqual(resolveRange(many(MOST_RANGES + 1), 10_000), whole);
  });

  it("ignores what it cannot read", () => {
    const values = ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "lines=0-1"];
    const more = ["bytes=+1-2", "bytes=0x1-2", "bytes=1.5-2", "bytes=--1", "bytes=0-1\n", "=0-1"];
    for (const value of [...values, ...more]) {
      assert.deepEqual(resolveRange(value, 10_000), whole, value);
    }
  });

  it("finds no byte of an empty file", () => {
    assert.deepEqual(resolveRange("bytes=0-", 0), unsatisfiable);
    assert.deepEqual(resolveRange("bytes=-5", 0), whole);
  });

  it("stays within the file, whatever is asked", () => {
    const number = fc.oneof(
      fc.constant(""),
      fc.nat({ max: 50 }).map(String),
      fc.bigInt().map(String),
    );
    const spec = fc.tuple(number, number).map(([first, last]) => `${first}-${last}`);
    const range = fc
      .array(spec, { minLength: 1, maxLength: 4 })
      .map((specs) => `bytes=${specs.join(",")}`);
    fc.assert(
      fc.property(fc.oneof(range, fc.string()), fc.nat({ max: 60 }), (value, sizeBytes) => {
        const result = resolveRange(value, sizeBytes);
        const ranges =
          result.kind === "partial" ? [result] : result.kind === "several" ? result.ranges : [];
        for (const { start, end } of ranges) {
          assert.ok(Number.isInteger(start) && Number.isInteger(end));
          assert.ok(0 <= start && start <= end && end < sizeBytes);
        }
        assert.ok(ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0) <= sizeBytes);
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { resolveRange } from "../../runtime/http/range.ts";

const whole = { kind: "whole" };
const unsatisfiable = { kind: "unsatisfiable" };
const partial = (start: number, end: number) => ({ kind: "partial", start, end });

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

  it("ignores several ranges", () => {
    for (const value of ["bytes=0-0,-1", "bytes=500-600,601-999", "bytes=0-1,"]) {
      assert.deepEqual(resolveRange(value, 10_000), whole, value);
    }
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
    const range = fc.tuple(number, number).map(([first, last]) => `bytes=${first}-${last}`);
    fc.assert(
      fc.property(fc.oneof(range, fc.string()), fc.nat({ max: 60 }), (value, sizeBytes) => {
        const result = resolveRange(value, sizeBytes);
        if (result.kind !== "partial") return;
        assert.ok(Number.isInteger(result.start) && Number.isInteger(result.end));
        assert.ok(0 <= result.start && result.start <= result.end && result.end < sizeBytes);
      }),
    );
  });
});

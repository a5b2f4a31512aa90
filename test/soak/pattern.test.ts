import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { findOther, patternFrom, patternOf } from "../../scripts/soak/pattern.ts";

const offsets = fc.nat({ max: 300_000 });
const lengths = fc.integer({ min: 1, max: 200_000 });

describe("patternOf()", () => {
  it("is the same at any offset", () => {
    fc.assert(
      fc.property(offsets, lengths, lengths, (offset, first, second) => {
        const whole = patternOf(offset, first + second);
        const parts = [patternOf(offset, first), patternOf(offset + first, second)];
        assert.ok(whole.equals(Buffer.concat(parts)));
      }),
      { numRuns: 30 },
    );
  });

  it("begins with the bytes of patternFrom()", () => {
    assert.ok(patternFrom(65_500, 1_000).equals(patternOf(65_500, 1_000)));
  });
});

describe("findOther()", () => {
  it("finds the first different byte", () => {
    fc.assert(
      fc.property(offsets, lengths, fc.nat(), (offset, length, place) => {
        const bytes = Buffer.from(patternOf(offset, length));
        assert.equal(findOther(bytes, offset), -1);
        const at = place % length;
        bytes[at] = (bytes[at] ?? 0) ^ 1;
        assert.equal(findOther(bytes, offset), at);
      }),
      { numRuns: 30 },
    );
  });

  it("notices a lost piece of the size of any buffer", () => {
    for (const lost of [1, 4_096, 16_000, 16_384, 65_536, 262_144]) {
      assert.notEqual(findOther(patternOf(lost, 1_000), 0), -1, `${lost} bytes`);
    }
  });
});

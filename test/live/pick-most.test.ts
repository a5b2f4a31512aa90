import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { pickMost } from "../../runtime/live/pick-most.ts";

function compare(one: { rank: number }, other: { rank: number }): number {
  return one.rank - other.rank;
}

describe("pickMost()", () => {
  it("returns the beginning of the sorted items", () => {
    const items = fc.array(fc.record({ rank: fc.nat(9), name: fc.string() }), { maxLength: 60 });
    fc.assert(
      fc.property(items, fc.integer({ min: 1, max: 12 }), (all, most) => {
        // `toSorted` is stable, too.
        assert.deepEqual(pickMost(all, most, compare), all.toSorted(compare).slice(0, most));
      }),
    );
  });
});

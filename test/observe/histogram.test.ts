import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { BOUNDS_MS } from "../../runtime/lib/duration-bounds.ts";
import { Histogram } from "../../runtime/observe/histogram.ts";

describe("Histogram", () => {
  it("counts each duration in the first bucket whose bound it does not exceed", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e6, noNaN: true }), (ms) => {
        const histogram = new Histogram();
        histogram.note(ms);
        const expected = BOUNDS_MS.findIndex((bound) => ms <= bound);
        const at = histogram.counts.indexOf(1);
        assert.equal(at, expected === -1 ? BOUNDS_MS.length : expected);
        assert.deepEqual([histogram.count, histogram.sumMs], [1, ms]);
      }),
    );
  });

  it("finds percentiles within an eighth", () => {
    // The first bucket begins at 0, so its middle is far from durations of exactly 0.1 ms.
    const above = { min: 0.1, minExcluded: true, max: 90_000, noNaN: true };
    const durations = fc.array(fc.double(above), { minLength: 1 });
    fc.assert(
      fc.property(durations, fc.constantFrom(0.5, 0.95, 0.99, 1), (all, share) => {
        const histogram = new Histogram();
        for (const ms of all) histogram.note(ms);
        const sorted = all.toSorted((one, other) => one - other);
        const exact = sorted[Math.max(1, Math.ceil(all.length * share)) - 1] ?? 0;
        const found = histogram.quantile(share) ?? 0;
        assert.ok(Math.abs(found - exact) <= exact / 8, `${found} for ${exact}`);
      }),
    );
    assert.equal(new Histogram().quantile(0.5), null);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { CountsWindow } from "../../runtime/live/counts-window.ts";
import { Histogram } from "../../runtime/observe/histogram.ts";

describe("CountsWindow", () => {
  it("has neither rates nor percentiles with one sample", () => {
    const histogram = new Histogram();
    histogram.note(5);
    const window = new CountsWindow(3);
    assert.equal(window.ms, 0);
    window.add({ nowMs: 100, counts: new Map([["a", 7]]), histograms: [histogram] });
    assert.deepEqual([window.ms, window.rateOf("a"), window.growthOf("a")], [0, null, null]);
    assert.equal(window.latencyOf(histogram), null);
  });

  it("compares the newest sample with the oldest one that it keeps", () => {
    const window = new CountsWindow(3);
    for (const [nowMs, count] of [
      [0, 10],
      [1_000, 30],
      [2_000, 60],
      [3_000, 100],
    ] as const) {
      window.add({ nowMs, counts: new Map([["a", count]]), histograms: [] });
    }
    assert.deepEqual([window.ms, window.growthOf("a"), window.rateOf("a")], [2_000, 70, 35]);
    window.add({ nowMs: 4_000, counts: new Map([["b", 6]]), histograms: [] });
    assert.equal(window.rateOf("b"), 3, "a count that was not there began at 0");
    assert.equal(window.growthOf("a"), 0, "a count that is gone has not fallen");
  });

  it("has the percentiles of the durations between two samples, and of no others", () => {
    const durations = fc.array(fc.double({ min: 0.1, max: 9_000, noNaN: true }));
    fc.assert(
      fc.property(durations, durations, (before, during) => {
        const histogram = new Histogram();
        const window = new CountsWindow(5);
        for (const ms of before) histogram.note(ms);
        window.add({ nowMs: 0, counts: new Map(), histograms: [histogram] });
        const expected = new Histogram();
        for (const ms of during) {
          histogram.note(ms);
          expected.note(ms);
        }
        window.add({ nowMs: 500, counts: new Map(), histograms: [histogram] });
        const found = window.latencyOf(histogram);
        assert.equal(found?.p50Ms ?? null, expected.quantile(0.5));
        assert.equal(found?.p99Ms ?? null, expected.quantile(0.99));
        assert.equal(window.latencyOf(new Histogram()), null);
      }),
    );
  });
});

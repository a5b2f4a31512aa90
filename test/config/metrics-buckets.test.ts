import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { metricsBuckets } from "../../runtime/config/metrics-buckets.ts";
import { showValue } from "../../runtime/config/show-value.ts";
import { BOUNDS_MS } from "../../runtime/lib/duration-bounds.ts";

const { parse, explain } = metricsBuckets();

describe("metricsBuckets()", () => {
  const accepted: [unknown, number[]][] = [
    ["5ms,25ms,100ms,1s,10s", [5, 25, 100, 1_000, 10_000]],
    [" 0.5MS , 2.5ms,0.2s ", [0.5, 2.5, 200]],
    [
      ["0.12ms", "1.5m"],
      [0.12, 90_000],
    ],
    [["10m"], [600_000]],
    [
      [1_000, "2s"],
      [1_000, 2_000],
    ],
  ];
  for (const [value, expected] of accepted) {
    it(`reads ${JSON.stringify(value)}`, () => {
      assert.deepEqual(parse(value), { value: expected });
      assert.equal(explain?.(value), null);
    });
  }

  const none = 'ascending durations, such as "5ms, 25ms, 100ms, 1s, 10s"';
  const unit = 'a duration with a unit, such as "2.5ms", "100ms" or "1s"';
  const counts = "a bound that the server counts with, such as";
  const refused: [given: unknown, found: unknown, expected: string][] = [
    [[], [], none],
    [null, null, none],
    [false, false, none],
    [{ a: 1 }, { a: 1 }, none],
    [5, 5, none],
    ["", "", unit],
    ["off", "off", unit],
    ["5ms,", "", unit],
    ["5ms,25", "25", unit],
    [[0.005, 0.025], 0.005, unit],
    [["5ms", null], null, unit],
    [["5ms", ["25ms"]], ["25ms"], unit],
    [["-5ms"], "-5ms", unit],
    [["1e3ms"], "1e3ms", unit],
    [["5 days"], "5 days", unit],
    [["16ms"], "16ms", `${counts} "15ms" or "18ms"`],
    [["0s"], "0s", `${counts} "0.1ms"`],
    [["0.05ms"], "0.05ms", `${counts} "0.1ms"`],
    [["1h"], "1h", `${counts} "10m"`],
    [["1.0000001ms"], "1.0000001ms", unit],
    [["1.000001ms"], "1.000001ms", `${counts} "1ms" or "1.2ms"`],
    [[1_001], 1_001, `${counts} "1s" or "1200ms"`],
    [[Number.NaN], Number.NaN, unit],
    [[Infinity], Infinity, `${counts} "10m"`],
    [["1s", "5ms"], "5ms", 'a bound above the one before, "1s"'],
    [["1s", "1000ms"], "1000ms", 'a bound above the one before, "1s"'],
  ];
  for (const [given, found, expected] of refused) {
    it(`refuses ${JSON.stringify(given)}`, () => {
      assert.equal(parse(given), null);
      assert.deepEqual(explain?.(given), { key: "", value: found, expected });
    });
  }

  it("takes each bound of the server, in the words of its own messages", () => {
    const bounds = fc.uniqueArray(fc.constantFrom(...BOUNDS_MS), { minLength: 1 });
    fc.assert(
      fc.property(bounds, (unsorted) => {
        const value = unsorted.toSorted((one, other) => one - other);
        assert.deepEqual(parse(showValue("metricsBucketsMs", value)), { value });
      }),
    );
  });
});

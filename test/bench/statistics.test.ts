import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { pairedRatio, spreadOf, type Sample } from "../../scripts/bench/statistics.ts";

describe("spreadOf()", () => {
  const cases: readonly (readonly [number[], { median: number; min: number; max: number }])[] = [
    [[5], { median: 5, min: 5, max: 5 }],
    [[9, 1, 5], { median: 5, min: 1, max: 9 }],
    [[10, 9, 1, 4], { median: 6.5, min: 1, max: 10 }],
  ];
  for (const [values, expected] of cases) {
    it(`of ${values.join(", ")} has the median ${expected.median}`, () => {
      assert.deepEqual(spreadOf(values), expected);
    });
  }

  it("is undefined for no values", () => {
    assert.equal(spreadOf([]), undefined);
  });

  it("does not depend on the order and stays within the values", () => {
    const values = fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1 });
    fc.assert(
      fc.property(values, (given) => {
        const spread = spreadOf(given);
        assert.deepEqual(spread, spreadOf(given.toReversed()));
        assert.equal(spread?.min, Math.min(...given));
        assert.equal(spread.max, Math.max(...given));
        const below = given.filter((value) => value < spread.median).length;
        const above = given.filter((value) => value > spread.median).length;
        assert.ok(below <= given.length / 2 && above <= given.length / 2);
      }),
    );
  });
});

describe("pairedRatio()", () => {
  it("is taken within each round, so a drift of the machine cancels out", () => {
    // The machine gets four times slower; the medians of either side alone would say 1.5 or anything else.
    const over = samples({ 0: 200, 1: 100, 2: 50 });
    const under = samples({ 0: 100, 1: 50, 2: 25 });
    assert.deepEqual(pairedRatio(over, under), { median: 2, min: 2, max: 2 });
  });

  it("differs from the ratio of the medians", () => {
    const over = samples({ 0: 10, 1: 20, 2: 90 });
    const under = samples({ 0: 10, 1: 40, 2: 30 });
    assert.deepEqual(pairedRatio(over, under), { median: 1, min: 0.5, max: 3 });
  });

  it("leaves out rounds that only one side has, and division by zero", () => {
    const over = samples({ 0: 10, 1: 20, 2: 30 });
    const under = samples({ 1: 10, 2: 0, 3: 5 });
    assert.deepEqual(pairedRatio(over, under), { median: 2, min: 2, max: 2 });
  });

  it("is undefined when no round has both", () => {
    assert.equal(pairedRatio(samples({ 0: 1 }), samples({ 1: 1 })), undefined);
  });
});

function samples(values: Readonly<Record<number, number>>): readonly Sample[] {
  return Object.entries(values).map(([round, value]) => ({ round: Number(round), value }));
}

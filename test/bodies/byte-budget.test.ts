import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ByteBudget } from "../../runtime/bodies/byte-budget.ts";

describe("ByteBudget", () => {
  it("gives no more than the limit, and takes nothing when it refuses", () => {
    const budget = new ByteBudget(10);
    assert.deepEqual(
      [budget.take(6), budget.take(5), budget.take(4), budget.take(1), budget.heldBytes],
      [true, false, true, false, 10],
    );
    budget.give(6);
    assert.deepEqual([budget.heldBytes, budget.take(7), budget.take(6)], [4, false, true]);
  });

  it("leaves the bytes that are reserved for other holders", () => {
    const budget = new ByteBudget(10);
    assert.deepEqual(
      [budget.take(6, 5), budget.take(5, 5), budget.take(1, 5)],
      [false, true, false],
    );
    assert.deepEqual([budget.take(5), budget.heldBytes], [true, 10]);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { pickMemoryLimit } from "../../runtime/supervise/memory-bounds.ts";

describe("pickMemoryLimit()", () => {
  it("is the lower one, where there are two", () => {
    for (const [startedUnder, current, expected] of [
      [100, 200, 100],
      [200, 100, 100],
      [0, 100, 100],
      [100, 0, 100],
      [0, 0, 0],
    ] as const) {
      assert.equal(pickMemoryLimit(startedUnder, current), expected);
    }
  });
});

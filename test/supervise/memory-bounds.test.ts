import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  pickHeapBound,
  pickMemoryLimit,
  toUsedHeapLimit,
} from "../../runtime/supervise/memory-bounds.ts";

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

describe("pickHeapBound()", () => {
  const nodes = toUsedHeapLimit(4_000);

  it("is 1.25 times the limit that the operator chose, however large", () => {
    assert.equal(pickHeapBound(1_000, 0), 1_250);
    assert.equal(pickHeapBound(8_000, 0), 10_000);
  });

  it("is none where there is no limit", () => {
    assert.equal(pickHeapBound(0, 0), null);
    assert.equal(pickHeapBound(0, nodes), null);
  });

  it("is none for an automatic limit, unless it is lower than that of Node", () => {
    assert.equal(pickHeapBound(8_000, nodes), null);
    assert.equal(pickHeapBound(3_200, nodes), null);
    assert.equal(pickHeapBound(3_199, nodes), 3_998.75);
  });
});

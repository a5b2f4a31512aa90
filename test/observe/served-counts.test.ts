import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import { ServedCounts } from "../../runtime/observe/served-counts.ts";

function fail(served: ServedCounts, ...ids: number[]): void {
  // Ids are made in tests only here.
  for (const id of ids) served.failed(id as ExchangeId);
}

describe("ServedCounts", () => {
  it("counts a failure for the generation that had the request, however late it ends", () => {
    const served = new ServedCounts();
    served.begin("a", 1).requests += 5;
    served.begin("b", 10).requests += 2;
    fail(served, 9, 10, 3);
    assert.deepEqual(served.of("a"), { requests: 5, errors: 2 });
    assert.deepEqual(served.of("b"), { requests: 2, errors: 1 });
    assert.deepEqual(served.of("c"), { requests: 0, errors: 0 });
  });

  it("adds up all spans of a generation that serves again", () => {
    const served = new ServedCounts();
    served.begin("a", 1).requests++;
    served.begin("b", 2);
    served.begin("a", 3).requests++;
    assert.equal(served.of("a").requests, 2);
  });

  it("forgets old spans", () => {
    const served = new ServedCounts();
    served.begin("first", 1).requests++;
    for (let n = 2; n < 200; n++) served.begin("other", n);
    assert.equal(served.of("first").requests, 0);
    fail(served, 1);
  });
});

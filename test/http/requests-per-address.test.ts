import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { RequestsPerAddress } from "../../runtime/http/requests-per-address.ts";

function createCounts(): RequestsPerAddress {
  const counts = new RequestsPerAddress();
  counts.most = 2;
  return counts;
}

describe("RequestsPerAddress", () => {
  it("says no to an address that has too many, and to no other", () => {
    const counts = createCounts();
    assert.deepEqual(
      ["a", "a", "b", "a", "b"].map((address) => counts.started(address)),
      [true, true, true, false, true],
    );
    // Also the one that was refused is in flight until its answer is written.
    counts.finished("a");
    assert.equal(counts.started("a"), false);
    for (let count = 0; count < 3; count++) counts.finished("a");
    assert.equal(counts.started("a"), true);
  });

  it("goes on counting what is in flight when its bound changes", () => {
    const counts = createCounts();
    counts.started("a");
    counts.most = 1;
    assert.equal(counts.started("a"), false);
    counts.finished("a");
    counts.finished("a");
    assert.equal(counts.started("a"), true);
  });

  it("remembers only addresses that have any", () => {
    const addresses = fc.array(fc.constantFrom("a", "b", "c"), { maxLength: 30 });
    fc.assert(
      fc.property(addresses, fc.nat({ max: 30 }), (started, finished) => {
        const counts = createCounts();
        for (const address of started) counts.started(address);
        for (const address of started.slice(0, finished)) counts.finished(address);
        assert.equal(counts.size, new Set(started.slice(finished)).size);
      }),
    );
  });
});

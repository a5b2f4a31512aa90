import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { type Load, pickLeastBusy } from "../../runtime/dispatch/balancer.ts";

const busy = (size: number, cap: number): Load => ({ inFlight: { size }, cap });

/** The index of the picked worker; -1 for none. */
function pick(sizes: readonly number[], cap: number, extra?: number): number {
  const workers = sizes.map((size) => busy(size, cap));
  const picked = pickLeastBusy(workers, extra);
  return picked === null ? -1 : workers.indexOf(picked);
}

describe("pickLeastBusy()", () => {
  it("picks the least busy worker, the first of equals, and no full one", () => {
    const cases: [sizes: number[], cap: number, picked: number][] = [
      [[], 4, -1],
      [[0], 4, 0],
      [[0, 0, 0], 4, 0],
      [[2, 1, 1], 4, 1],
      [[3, 2, 0], 4, 2],
      [[4, 3], 4, 1],
      [[4, 4], 4, -1],
      [[5, 9], 4, -1],
      [[0], 0, -1],
      [[1, 0], 1, 1],
    ];
    for (const [sizes, cap, picked] of cases) {
      assert.equal(pick(sizes, cap), picked, `${JSON.stringify(sizes)} with cap ${cap}`);
    }
  });

  it("goes above the cap by the given number", () => {
    assert.equal(pick([4, 4], 4, 1), 0);
    assert.equal(pick([5, 4], 4, 1), 1);
    assert.equal(pick([5, 5], 4, 1), -1);
  });

  it("uses each worker's own cap", () => {
    const [full, free] = [busy(2, 2), busy(3, 4)];
    assert.equal(pickLeastBusy([full, free]), free);
  });

  it("never picks a worker that is busier than another", () => {
    const sizes = fc.array(fc.nat({ max: 20 }), { maxLength: 12 });
    fc.assert(
      fc.property(sizes, fc.nat({ max: 20 }), (list, cap) => {
        const least = Math.min(...list);
        assert.equal(pick(list, cap), least < cap ? list.indexOf(least) : -1);
      }),
    );
  });
});

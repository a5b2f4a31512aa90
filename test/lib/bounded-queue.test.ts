import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { BoundedQueue } from "../../runtime/lib/bounded-queue.ts";

describe("BoundedQueue", () => {
  it("behaves like a list of bounded length", () => {
    const action = fc.oneof(
      fc.record({ do: fc.constant("push"), item: fc.nat({ max: 12 }) }),
      fc.record({ do: fc.constant("remove"), item: fc.nat({ max: 12 }) }),
      fc.record({ do: fc.constantFrom("shift", "peek"), item: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.nat({ max: 6 }), fc.array(action), (limit, actions) => {
        const queue = new BoundedQueue<number>(limit);
        const list: number[] = [];
        for (const { do: name, item } of actions) {
          if (name === "push") {
            // Each item is an exchange, which comes once.
            if (list.includes(item)) continue;
            const fits = list.length < limit;
            if (fits) list.push(item);
            assert.equal(queue.push(item), fits);
          } else if (name === "remove") {
            const at = list.indexOf(item);
            if (at !== -1) list.splice(at, 1);
            queue.remove(item);
          } else if (name === "shift") {
            assert.equal(queue.shift(), list.shift());
          } else {
            assert.equal(queue.peek(), list[0]);
          }
          assert.equal(queue.size, list.length);
        }
        for (const item of list) assert.equal(queue.shift(), item);
        assert.equal(queue.shift(), undefined);
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { ByteQueue } from "../../runtime/bodies/byte-queue.ts";

const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("push"), size: fc.nat({ max: 20 }) }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("take"), size: fc.integer({ min: 1, max: 30 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("takeAll", "clear"), size: fc.nat() }) },
);

describe("ByteQueue", () => {
  it("yields all bytes in order, each once, in pieces of any size", () => {
    fc.assert(
      fc.property(fc.array(action), (actions) => {
        const queue = new ByteQueue();
        let expected = Buffer.alloc(0);
        let next = 0;
        for (const { do: name, size } of actions) {
          if (name === "push") {
            const chunk = Buffer.from(Array.from({ length: size }, () => next++ % 256));
            queue.push(chunk);
            expected = Buffer.concat([expected, chunk]);
          } else if (name === "take") {
            const piece = queue.take(size);
            assert.equal(piece === null, expected.length === 0);
            if (piece === null) continue;
            assert.ok(piece.length > 0 && piece.length <= size);
            assert.deepEqual(Buffer.from(piece), expected.subarray(0, piece.length));
            expected = expected.subarray(piece.length);
          } else if (name === "takeAll") {
            assert.deepEqual(Buffer.from(queue.takeAll()), expected);
            expected = Buffer.alloc(0);
          } else {
            queue.clear();
            expected = Buffer.alloc(0);
          }
          assert.equal(queue.bytes, expected.length);
        }
      }),
    );
  });

  it("copies nothing that is contiguous", () => {
    const queue = new ByteQueue();
    const chunk = Buffer.alloc(100);
    queue.push(chunk);
    assert.equal(queue.take(10)?.buffer, chunk.buffer);
    assert.equal(queue.takeAll().buffer, chunk.buffer);
  });
});

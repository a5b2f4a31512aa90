import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { BLOCK_BYTES } from "../../runtime/bodies/block-pool.ts";
import { BlockQueue } from "../../runtime/bodies/block-queue.ts";
import { CheckedPool } from "./checked-pool.ts";

const SIZE = fc.oneof(fc.nat(20), fc.nat(40_000), fc.constantFrom(16_384, 65_536, 200_000));
const ACTION = fc.record({
  queue: fc.nat(1),
  do: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom("push", "take") },
    { weight: 2, arbitrary: fc.constant("move") },
    { weight: 1, arbitrary: fc.constantFrom("takeAll", "clear", "release") },
  ),
  size: SIZE,
});

describe("BlockQueue", () => {
  it("yields all bytes in order, each once, and returns all blocks, when queues share a pool", () => {
    fc.assert(
      fc.property(fc.array(ACTION), (actions) => {
        const pool = new CheckedPool();
        const queues = [0, 1].map(() => ({
          queue: new BlockQueue(pool),
          pushed: 0,
          taken: 0,
          lent: [] as { piece: Uint8Array; from: number }[],
          owned: [] as { piece: Uint8Array; from: number }[],
        }));
        const input = Buffer.alloc(200_000);
        for (const { queue: index, do: name, size } of actions) {
          const one = queues[index];
          assert.ok(one !== undefined);
          if (name === "push") {
            for (let at = 0; at < size; at++) input[at] = (one.pushed + at) % 251;
            one.queue.push(input.subarray(0, size));
            // Reused memory changes.
            input.fill(0xff, 0, size);
            one.pushed += size;
          } else if (name === "take") {
            const piece = one.queue.take(size + 1);
            assert.equal(piece === null, one.pushed === one.taken);
            one.lent = piece === null ? [] : [{ piece, from: one.taken }];
            one.taken += piece?.length ?? 0;
            assert.ok(piece === null || (piece.length > 0 && piece.length <= size + 1));
          } else if (name === "move") {
            // As to a disk: the lent piece stays valid.
            let movedBytes = 0;
            for (const piece of one.queue.peek(size)) {
              assert.ok(piece.every((byte, at) => byte === (one.taken + movedBytes + at) % 251));
              movedBytes += piece.length;
            }
            assert.equal(movedBytes, Math.min(size, one.pushed - one.taken));
            one.queue.drop(movedBytes);
            one.taken += movedBytes;
          } else if (name === "release") {
            one.queue.release();
            one.lent = [];
          } else if (name === "takeAll") {
            const piece = one.queue.takeAll();
            assert.equal(piece.length, one.pushed - one.taken);
            one.lent = [];
            one.owned.push({ piece, from: one.taken });
            one.taken = one.pushed;
          } else {
            one.queue.clear();
            one.lent = [];
            one.taken = one.pushed;
          }
          assert.equal(one.queue.bytes, one.pushed - one.taken);
          // Bytes that were taken stay unchanged while other queues go on.
          for (const { lent, owned } of queues) {
            for (const { piece, from } of [...lent, ...owned]) {
              assert.ok(piece.every((byte, at) => byte === (from + at) % 251));
            }
          }
        }
        for (const { queue } of queues) queue.clear();
        assert.equal(pool.out.size, 0);
      }),
      { numRuns: 60 },
    );
  });

  it("uses no block for a few bytes", () => {
    const pool = new CheckedPool();
    const queue = new BlockQueue(pool);
    for (let count = 0; count < 10; count++) queue.push(new Uint8Array(1_000));
    assert.equal(pool.out.size, 0);
    queue.push(new Uint8Array(BLOCK_BYTES - 1_000));
    queue.push(new Uint8Array(1_000));
    assert.equal(pool.out.size, 1);
  });
});

import assert from "node:assert/strict";
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { describe, it, type TestContext } from "node:test";
import * as fc from "fast-check";
import type { BurstQueue } from "../../runtime/bodies/burst-queue.ts";
import { createSpool } from "../dispatch/spooling.ts";

const MEMORY_BYTES = 1000;

describe("BurstQueue", () => {
  it("yields all bytes once and in order, from memory and disk, and leaves nothing on disk", (t) => {
    const { spool, openFiles } = createSpool(t, { limitBytes: 5000 });
    const steps = fc.array(
      fc.record({ push: fc.boolean(), bytes: fc.integer({ min: 1, max: 3000 }) }),
      { maxLength: 60, size: "max" },
    );
    fc.assert(
      fc.property(steps, (plan) => {
        const queue = spool.openBurstQueue(MEMORY_BYTES);
        try {
          exercise(queue, plan);
          assert.ok(spool.usage.heldBytes <= 5000);
        } finally {
          queue.clear();
        }
        assert.deepEqual(spool.usage, { files: 0, heldBytes: 0 });
      }),
    );
    assert.equal(openFiles(), 0);
  });

  it("holds a bounded number of bytes in memory", (t) => {
    const { spool, openFiles } = createSpool(t);
    const queue = spool.openBurstQueue(MEMORY_BYTES);
    t.after(() => queue.clear());
    queue.push(new Uint8Array(MEMORY_BYTES));
    assert.equal(openFiles(), 0);
    queue.push(new Uint8Array(5 * MEMORY_BYTES));
    assert.equal(openFiles(), 1);
    assert.equal(spool.usage.heldBytes, 5 * MEMORY_BYTES);
  });

  it("works when another process removes its file first", (t) => {
    const { spool, openFiles } = createSpool(t);
    const unlink = fs.unlinkSync;
    t.mock.method(fs, "unlinkSync", (path: string) => {
      unlink(path);
      unlink(path);
    });
    syncBuiltinESMExports();
    const queue = spool.openBurstQueue(MEMORY_BYTES);
    queue.push(new Uint8Array(MEMORY_BYTES));
    queue.push(new Uint8Array(MEMORY_BYTES));
    t.mock.restoreAll();
    syncBuiltinESMExports();
    assert.equal(spool.usage.heldBytes, MEMORY_BYTES);
    queue.clear();
    assert.equal(openFiles(), 0);
  });

  it("reuses the room of its file", (t) => {
    const { spool } = createSpool(t);
    const queue = spool.openBurstQueue(MEMORY_BYTES);
    t.after(() => queue.clear());
    for (let round = 0; round < 20; round++) {
      for (let piece = 0; piece < 4; piece++) queue.push(new Uint8Array(MEMORY_BYTES));
      assert.equal(queue.takeAll().length, 4 * MEMORY_BYTES);
    }
    assert.equal(spool.usage.heldBytes, 3 * MEMORY_BYTES);
  });

  for (const [trouble, options] of [
    ["there is no room", { limitBytes: 100 }],
    ["there are too many files", { maxFiles: 0 }],
    ["the disk cannot be written", { dir: "/dev/null/spool" }],
  ] as const) {
    it(`keeps bytes in memory when ${trouble}`, (t: TestContext) => {
      const { spool } = createSpool(t, options);
      const queue = spool.openBurstQueue(MEMORY_BYTES);
      const bytes = Buffer.from(Array.from({ length: 4 * MEMORY_BYTES }, (_, at) => at % 256));
      for (let at = 0; at < bytes.length; at += 500) queue.push(bytes.subarray(at, at + 500));
      assert.ok(Buffer.from(queue.takeAll()).equals(bytes));
      queue.clear();
      assert.deepEqual(spool.usage, { files: 0, heldBytes: 0 });
    });
  }
});

/** Pushes and takes as the plan says, then takes the rest. */
function exercise(queue: BurstQueue, plan: readonly { push: boolean; bytes: number }[]): void {
  const pushed: Buffer[] = [];
  const taken: Uint8Array[] = [];
  for (const [at, step] of plan.entries()) {
    if (step.push) {
      const bytes = Buffer.alloc(step.bytes, at % 251);
      pushed.push(Buffer.from(bytes));
      queue.push(bytes);
      // The buffer belongs to uWebSockets.js, which reuses it.
      bytes.fill(255);
    } else {
      const piece = queue.take(step.bytes);
      assert.equal(piece === null, sizeOf(pushed) === sizeOf(taken));
      assert.ok(piece === null || (piece.length > 0 && piece.length <= step.bytes));
      if (piece !== null) taken.push(Buffer.from(piece));
    }
    assert.equal(queue.bytes, sizeOf(pushed) - sizeOf(taken));
  }
  taken.push(queue.takeAll());
  assert.ok(Buffer.concat(taken).equals(Buffer.concat(pushed)), "each byte once and in order");
}

function sizeOf(pieces: readonly Uint8Array[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Codec } from "../../runtime/channel/codec.ts";
import { FrameMemories } from "../../runtime/channel/frame-memory.ts";
import { LENGTH_BYTES } from "../../runtime/channel/frame-buffer.ts";

/** A frame is made, or the oldest frame was written. */
const ACTION = fc.oneof(
  fc.record({ bytes: fc.oneof(fc.nat(100), fc.nat(70_000), fc.constantFrom(256 * 1024, 500_000)) }),
  fc.constant("written" as const),
);

describe("FrameMemories", () => {
  it("keeps unwritten frames intact, in any order of making and writing", () => {
    fc.assert(
      fc.property(fc.array(ACTION, { maxLength: 60 }), (actions) => {
        const codec = new Codec();
        const memories = new FrameMemories();
        const waiting: { frame: Buffer; body: Buffer; release: (() => void) | null }[] = [];
        let count = 0;
        for (const action of actions) {
          if (action === "written") {
            waiting.shift()?.release?.();
            continue;
          }
          const body = Buffer.alloc(action.bytes, ++count);
          const memory = memories.pick(body.length);
          const frame = codec.encode([[1, body]], memory);
          const isThere = frame.buffer === memory.bytes.buffer;
          waiting.push({ frame, body, release: isThere ? memory.release : null });
          for (const { frame: other, body: sent } of waiting) {
            assert.deepEqual(codec.decode(other.subarray(LENGTH_BYTES)), [[1, sent]]);
          }
        }
      }),
      { numRuns: 40 },
    );
  });

  it("uses one memory again and again when all frames are written at once", () => {
    const codec = new Codec();
    const memories = new FrameMemories();
    const used = new Set<ArrayBufferLike>();
    for (let count = 0; count < 100; count++) {
      const memory = memories.pick(200_000);
      used.add(codec.encode([[1, Buffer.alloc(200_000)]], memory).buffer);
      memory.release();
    }
    assert.equal(used.size, 1);
  });

  it("reuses written memory before it makes more", () => {
    const codec = new Codec();
    const memories = new FrameMemories();
    const used = new Set<ArrayBufferLike>();
    let before: (() => void) | null = null;
    for (let count = 0; count < 100; count++) {
      const memory = memories.pick(300_000);
      used.add(codec.encode([[1, Buffer.alloc(300_000)]], memory).buffer);
      before?.();
      before = memory.release;
    }
    assert.equal(used.size, 2);
  });
});

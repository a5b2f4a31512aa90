import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { FrameBuffer, LENGTH_BYTES } from "../../runtime/channel/frame-buffer.ts";
import { fill } from "./fill.ts";

/** A frame as it crosses the channel. Written by hand, so that reader and writer cannot agree on a mistake. */
function toWire(frame: Uint8Array): Buffer {
  const length = Buffer.alloc(4);
  length.writeUInt32LE(frame.length, 0);
  return Buffer.concat([length, frame]);
}

/** The frames, copied at once: their memory is reused. */
function readAll(pieces: readonly Buffer[], maxFrameBytes = 1024): string[] {
  const buffer = new FrameBuffer({ maxFrameBytes });
  const frames: string[] = [];
  for (const piece of pieces) fill(buffer, piece, (frame) => frames.push(frame.toString("hex")));
  return frames;
}

function isProtocolError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_PROTOCOL";
}

const FRAMES = [
  Buffer.from("hello"),
  Buffer.alloc(0),
  Buffer.from([0, 0, 0, 0, 9]),
  Buffer.from("!"),
];
const WIRE = Buffer.concat(FRAMES.map(toWire));
const EXPECTED = FRAMES.map((frame) => frame.toString("hex"));

describe("FrameBuffer", () => {
  it("yields the same frames wherever the bytes are split into three", () => {
    for (let first = 0; first <= WIRE.length; first++) {
      for (let second = first; second <= WIRE.length; second++) {
        const pieces = [
          WIRE.subarray(0, first),
          WIRE.subarray(first, second),
          WIRE.subarray(second),
        ];
        assert.deepEqual(readAll(pieces), EXPECTED, `split at bytes ${first} and ${second}`);
      }
    }
  });

  it("yields the same frames from single bytes", () => {
    assert.deepEqual(readAll([...WIRE].map((byte) => Buffer.from([byte]))), EXPECTED);
  });

  it("yields any frames from any pieces", () => {
    const bytes = fc.uint8Array({ maxLength: 300 });
    const frames = fc.array(bytes, { maxLength: 8 });
    const sizes = fc.array(fc.integer({ min: 1, max: 90 }), { minLength: 1 });
    fc.assert(
      fc.property(frames, sizes, (sent, pieceSizes) => {
        const wire = Buffer.concat(sent.map(toWire));
        const pieces: Buffer[] = [];
        for (let at = 0, number = 0; at < wire.length; number++) {
          const size = pieceSizes[number % pieceSizes.length] ?? 1;
          pieces.push(wire.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(
          readAll(pieces),
          sent.map((frame) => Buffer.from(frame).toString("hex")),
        );
      }),
    );
  });

  it("yields an empty frame as soon as its length is complete", () => {
    const empty = Buffer.alloc(LENGTH_BYTES);
    assert.deepEqual(readAll([empty]), [""]);
    assert.deepEqual(readAll([empty.subarray(0, 1), empty.subarray(1)]), [""]);
  });

  it("yields nothing of an incomplete frame", () => {
    assert.deepEqual(readAll([toWire(Buffer.from("hello")).subarray(0, -1)]), []);
  });

  it("accepts a frame of exactly the limit", () => {
    const frame = Buffer.alloc(16, 7);
    assert.deepEqual(readAll([toWire(frame)], 16), [frame.toString("hex")]);
  });

  it("refuses a longer frame by its length alone, however that arrives", () => {
    const length = toWire(Buffer.alloc(17)).subarray(0, LENGTH_BYTES);
    const huge = Buffer.from([0xff, 0xff, 0xff, 0xff]);
    for (const bytes of [length, huge]) {
      assert.throws(() => readAll([bytes], 16), isProtocolError);
      const single = [...bytes].map((byte) => Buffer.from([byte]));
      assert.throws(() => readAll(single, 16), isProtocolError);
    }
  });

  it("yields frames of any size, also larger than its buffer, from pieces of any size", () => {
    const size = fc.oneof(fc.nat(100), fc.nat(100_000), fc.integer({ min: 300_000, max: 700_000 }));
    const pieceSize = fc.oneof(
      fc.integer({ min: 1, max: 10 }),
      fc.integer({ min: 10_000, max: 400_000 }),
    );
    fc.assert(
      fc.property(
        fc.array(size, { maxLength: 8 }),
        fc.array(pieceSize, { minLength: 1, maxLength: 20 }),
        (sizes, pieceSizes) => {
          const sent = sizes.map((length, number) => Buffer.alloc(length, number + 1));
          const wire = Buffer.concat(sent.map(toWire));
          const buffer = new FrameBuffer({ maxFrameBytes: 1_000_000 });
          let count = 0;
          for (let at = 0, number = 0; at < wire.length; number++) {
            // Single bytes all the way would take too long.
            const most = number < 100 ? (pieceSizes[number % pieceSizes.length] ?? 1) : 50_000;
            const piece = wire.subarray(at, at + most);
            at += piece.length;
            fill(buffer, piece, (frame) =>
              assert.ok(frame.equals(sent[count++] ?? Buffer.alloc(0))),
            );
          }
          assert.equal(count, sent.length);
        },
      ),
      { numRuns: 50 },
    );
  });

  it("reuses its memory", () => {
    const buffer = new FrameBuffer({ maxFrameBytes: 5 });
    const memory = new Set<ArrayBufferLike>();
    for (let count = 0; count < 3; count++) {
      fill(buffer, toWire(Buffer.from("hello")), (frame) => memory.add(frame.buffer));
    }
    assert.equal(memory.size, 1);
  });
});

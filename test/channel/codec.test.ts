import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { Codec } from "../../runtime/channel/codec.ts";
import { FrameMemories } from "../../runtime/channel/frame-memory.ts";
import { LENGTH_BYTES } from "../../runtime/channel/frame-buffer.ts";

const memories = new FrameMemories();

/** Uses memory that is never given back. */
function encode(codec: Codec, messages: readonly unknown[]): Buffer {
  return codec.encode(messages, memories.pick(0));
}

function isProtocolError(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ERR_PROTOCOL";
}

/** A frame without its length, which is checked. */
function toFrame(wire: Buffer): Buffer {
  assert.equal(wire.readUInt32LE(0), wire.length - LENGTH_BYTES);
  return wire.subarray(LENGTH_BYTES);
}

/** Byte strings come out as views of the frame: a `Buffer` where a `Uint8Array` went in. */
function toPlain(value: unknown): unknown {
  if (value instanceof Uint8Array) return { bytes: Buffer.from(value).toString("hex") };
  if (Array.isArray(value)) return value.map(toPlain);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toPlain(item)]));
  }
  return value;
}

/** Values that messages may contain. */
const element = fc.oneof(
  fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  fc.integer(),
  // Without -0, which comes out as 0.
  fc.double({ noNaN: true }).map((value) => value + 0),
  fc.string({ unit: "grapheme", maxLength: 400 }),
  // A field block: each character is one byte.
  fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)) }),
  fc.uint8Array({ maxLength: 300 }),
  // Lengths around those at which the encoding changes, and larger than the encoder's first buffer.
  fc.constantFrom(31, 32, 255, 256, 65_535, 65_536).map((length) => "x".repeat(length)),
  fc.constantFrom(255, 256, 8_192, 65_535, 65_536).map((length) => Buffer.alloc(length, 7)),
  // msgpackr renames this one key, so that decoding sets no prototype.
  fc.dictionary(
    fc.string().filter((key) => key !== "__proto__"),
    fc.string(),
  ),
  fc.constantFrom(null, true, false, ""),
);
const message = fc.array(element, { minLength: 1, maxLength: 9 });

describe("Codec", () => {
  it("restores any messages, also from frames that are kept while others are made", () => {
    const sender = new Codec();
    const receiver = new Codec();
    fc.assert(
      fc.property(fc.array(fc.array(message, { maxLength: 4 }), { maxLength: 6 }), (frames) => {
        const wires = frames.map((messages) => encode(sender, messages));
        const received = wires.map((wire) => receiver.decode(toFrame(wire)));
        assert.deepEqual(toPlain(received), toPlain(frames));
      }),
      { numRuns: 200 },
    );
  });

  it("restores bytes larger than its first buffer", () => {
    const body = Buffer.alloc(3 * 1024 * 1024, "edgicorn");
    const messages = new Codec().decode(toFrame(encode(new Codec(), [[1, body]])));
    assert.deepEqual(messages, [[1, body]]);
  });

  it("writes plain MessagePack, which a worker in another language can read", () => {
    const wire = encode(new Codec(), [[1, { a: "x" }, null, undefined, true, Buffer.from([7])]]);
    // A map of one entry, its count in 16 bits (msgpackr does not know it before), then nil twice, true, binary.
    const expected = ["91", "96", "01", "de0001a161a178", "c0", "c0", "c3", "c40107"];
    assert.equal(toFrame(wire).toString("hex"), expected.join(""));
  });

  it("reads the same shape twice from one frame without an extension of msgpackr", () => {
    const messages = [{ method: "GET" }, { method: "PUT" }];
    const wire = encode(new Codec(), messages);
    assert.equal(toFrame(wire).toString("latin1").split("method").length - 1, messages.length);
    assert.deepEqual(new Codec().decode(toFrame(wire)), messages);
  });

  it("refuses a frame that is not an array of messages", () => {
    const cases = {
      nothing: "",
      null: "c0",
      "a number": "01",
      "a map": "80",
      "an array that is cut off": "9201",
      "a string that is cut off": "91a56865",
      "more than one value": "91019102",
      "a byte that means nothing": "c1",
    };
    for (const [name, hex] of Object.entries(cases)) {
      assert.throws(() => new Codec().decode(Buffer.from(hex, "hex")), isProtocolError, name);
    }
  });

  it("refuses any bytes with ERR_PROTOCOL or reads them, and never fails otherwise", () => {
    const codec = new Codec();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          assert.ok(Array.isArray(codec.decode(Buffer.from(bytes))));
        } catch (error) {
          if (!isProtocolError(error)) throw error;
        }
      }),
      { numRuns: 1_000 },
    );
  });
});

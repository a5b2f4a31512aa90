import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { constants, inflateRawSync } from "node:zlib";
import * as fc from "fast-check";
import { inflateMessage, MessageDeflater } from "../../../runtime/engine/node/message-deflate.ts";

const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

describe("MessageDeflater", () => {
  it("compresses the message of a topic once for each window", () => {
    const deflater = new MessageDeflater();
    const bytes = Buffer.alloc(5_000, "abc");
    const first = deflater.withWindow(15).deflate(bytes);
    assert.equal(deflater.withWindow(15).deflate(bytes), first);
    assert.notEqual(deflater.withWindow(9).deflate(bytes), first);
    assert.notEqual(deflater.withWindow(15).deflate(Buffer.from(bytes)), first);
  });

  it("keeps no buffer of zlib", () => {
    const deflated = new MessageDeflater().withWindow(15).deflate(Buffer.alloc(5_000, "abc"));
    // The result is a part of Node's pool, or has its own memory.
    assert.ok(deflated.buffer.byteLength <= Buffer.poolSize, `${deflated.buffer.byteLength} bytes`);
  });

  it("keeps to the window of the client", () => {
    // The second half repeats the first, farther back than the window reaches.
    const half = randomBytes(4_000);
    const bytes = Buffer.concat([half, half]);
    const small = new MessageDeflater().withWindow(9).deflate(bytes);
    const large = new MessageDeflater().withWindow(15).deflate(bytes);
    assert.ok(large.length < 5_000 && small.length > 7_900);
    const inflated = inflateRawSync(Buffer.concat([small, TAIL]), {
      windowBits: 9,
      finishFlush: constants.Z_SYNC_FLUSH,
    });
    assert.ok(inflated.equals(bytes));
  });
});

describe("inflateMessage", () => {
  it("returns the message that was compressed, up to the limit", () => {
    const deflater = new MessageDeflater().withWindow(15);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 3_000 }), fc.nat(3_000), (bytes, limit) => {
        const inflated = inflateMessage(deflater.deflate(bytes), Math.max(1, limit));
        if (bytes.length > Math.max(1, limit)) assert.equal(inflated, 1009);
        else assert.deepEqual(inflated, Buffer.from(bytes));
      }),
    );
  });

  it("refuses bytes that are no compressed message", () => {
    assert.equal(inflateMessage(Uint8Array.of(0xff), 1_000), 1007);
    // A block whose length does not fit its complement.
    assert.equal(inflateMessage(Uint8Array.of(0, 5, 0, 0, 0, 1, 2, 3, 4, 5), 1_000), 1007);
  });

  it("returns a message or a code for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        const inflated = inflateMessage(bytes, 1_000);
        if (typeof inflated === "number") assert.ok(inflated === 1007 || inflated === 1009);
        else assert.ok(inflated.length <= 1_000);
      }),
    );
  });
});

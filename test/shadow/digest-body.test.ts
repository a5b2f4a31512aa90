import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import { digestBody } from "../../runtime/shadow/digest-body.ts";

const TEXT = "a text with ümlauts";

describe("digestBody()", () => {
  it("undoes the content coding", async () => {
    const bytes = Buffer.from(TEXT);
    const expected = {
      kind: "digest",
      lengthBytes: bytes.length,
      sha256: createHash("sha256").update(bytes).digest("hex"),
      text: TEXT,
    };
    for (const [coding, coded] of [
      [undefined, bytes],
      ["identity", bytes],
      ["gzip", gzipSync(bytes)],
      ["GZIP", gzipSync(bytes)],
      ["deflate", deflateSync(bytes)],
      ["br", brotliCompressSync(bytes)],
    ] as const) {
      assert.deepEqual(await digestBody(coded, { coding, type: "text/plain" }), expected, coding);
    }
  });

  it("hands out short texts only", async () => {
    for (const [type, size, hasText] of [
      ["application/json", 10, true],
      ["application/problem+json; charset=utf-8", 10, true],
      ["image/png", 10, false],
      [undefined, 10, false],
      ["text/html", 20_000, false],
    ] as const) {
      const digest = await digestBody(Buffer.alloc(size, "a"), { coding: undefined, type });
      assert.ok(digest.kind === "digest");
      assert.equal(digest.text !== null, hasText, type);
    }
  });

  it("knows nothing of broken bytes, unknown codings, and bombs", async () => {
    const bomb = gzipSync(Buffer.alloc(8 * 1024 * 1024));
    for (const [coding, bytes] of [
      ["gzip", randomBytes(100)],
      ["unknown", Buffer.from(TEXT)],
      ["gzip, br", Buffer.from(TEXT)],
      ["gzip", bomb],
    ] as const) {
      assert.deepEqual(await digestBody(bytes, { coding, type: "text/plain" }), {
        kind: "unknown",
      });
    }
  });
});

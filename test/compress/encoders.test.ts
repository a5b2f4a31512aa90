import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as zlib from "node:zlib";

import {
  ANSWER_CODINGS,
  encodeAnswer,
  encodeFile,
  StreamEncoder,
} from "../../runtime/compress/encoders.ts";
import type { ContentCoding } from "../../runtime/http/content-coding.ts";

const DECODERS: Record<string, (bytes: Buffer) => Buffer> = {
  br: zlib.brotliDecompressSync,
  gzip: zlib.gunzipSync,
  // Node 20 has none, and no encoder either.
  ...("zstdDecompressSync" in zlib
    ? { zstd: zlib.zstdDecompressSync as typeof zlib.gunzipSync }
    : {}),
};

function decode(bytes: Buffer, coding: ContentCoding): string {
  const decoder = DECODERS[coding];
  assert.ok(decoder !== undefined, coding);
  return String(decoder(bytes));
}

for (const coding of ANSWER_CODINGS) {
  describe(`encoders of ${coding}`, () => {
    for (const sizeBytes of [1, 1024, 16_384, 16_385, 200_000]) {
      it(`keep ${sizeBytes} bytes`, async () => {
        const text = "text, and more text ".repeat(sizeBytes).slice(0, sizeBytes);
        for (const level of ["fast", "balanced", "best"] as const) {
          assert.equal(decode(await encodeAnswer(Buffer.from(text), coding, level), coding), text);
        }
        assert.equal(decode(await encodeFile(Buffer.from(text), coding, "fast"), coding), text);
      });
    }

    it("let each piece out at a flush", async () => {
      const encoder = new StreamEncoder(coding, "balanced");
      const received: Buffer[] = [];
      for (const piece of ["one", "two", "x".repeat(300_000), "four"]) {
        received.push(...(await encoder.encode(Buffer.from(piece))));
        assert.ok(encoder.isDirty);
        const flushed = await encoder.flush();
        assert.ok(flushed.length > 0, "a flush lets bytes out");
        assert.ok(!encoder.isDirty);
        received.push(...flushed);
      }
      received.push(...(await encoder.end()));
      assert.equal(decode(Buffer.concat(received), coding), `onetwo${"x".repeat(300_000)}four`);
      encoder.destroy();
    });
  });
}

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import {
  BLOCK_BYTES,
  encodeTail,
  type FileRecord,
  FOOTER_BYTES,
  isIntact,
  parseFooter,
  parseTail,
  RunningChecksums,
  toChecksums,
} from "../../runtime/cache/entry-file.ts";
import { storedHead } from "./stored-heads.ts";

/** The record and the body of a file; `null`: it is not an entry. */
function read(file: Buffer): { record: FileRecord; body: Buffer } | null {
  const sizes = parseFooter(file.subarray(-FOOTER_BYTES), file.length);
  if (sizes === null) return null;
  const tail = parseTail(file.subarray(-sizes.tailBytes), sizes);
  const body = file.subarray(0, sizes.bodyBytes);
  return tail === null || !isIntact(body, tail.checksums) ? null : { record: tail.record, body };
}

function write(body: Uint8Array): Buffer {
  const record: FileRecord = {
    key: { page: "https://a.example/\u00e9", search: "?x=1", cookies: "", rule: { kind: "all" } },
    varyValues: "=a\n",
    head: storedHead({ bodyBytes: body.length, vary: ["x-kind"], fields: "x-a\n\u00ff" }),
  };
  return Buffer.concat([body, encodeTail({ record, checksums: toChecksums(body) })]);
}

describe("entry file", () => {
  for (const size of [0, 1, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, 3 * BLOCK_BYTES]) {
    it(`returns a body of ${size} bytes and its record`, () => {
      const body = Buffer.alloc(size, "abc");
      const found = read(write(body));
      assert.equal(found?.body.equals(body), true);
      assert.equal(found?.record.head.fields, "x-a\n\u00ff");
      assert.deepEqual(found?.record.key.rule, { kind: "all" });
    });
  }

  it("is not an entry when it is cut off anywhere", () => {
    const file = write(Buffer.from("0123456789"));
    for (let end = 0; end < file.length; end++) {
      assert.equal(read(file.subarray(0, end)), null, `cut at ${end}`);
    }
  });

  it("is not an entry when a bit is wrong anywhere", () => {
    const file = write(Buffer.from("0123456789"));
    for (let at = 0; at < file.length - UNUSED_BYTES; at++) {
      const wrong = Buffer.from(file);
      wrong[at] = (wrong[at] ?? 0) ^ 0x10;
      assert.equal(read(wrong), null, `byte ${at}`);
    }
  });

  it("is the old entry or none when a new tail is written only in part over the old one", () => {
    const body = Buffer.from("0123456789");
    const before = write(body);
    const head = storedHead({ bodyBytes: body.length, fields: "x-b\nchanged", receivedMs: 7 });
    const key = { page: "p", search: "", cookies: "", rule: { kind: "all" } } as const;
    const tail = encodeTail({
      record: { key, varyValues: "", head },
      checksums: toChecksums(body),
    });
    for (let written = 1; written < tail.length; written++) {
      const torn = Buffer.from(before);
      tail.copy(torn, body.length, 0, written);
      const grown = torn.length < body.length + written ? tail.subarray(0, written) : null;
      const file = grown === null ? torn : Buffer.concat([body, grown]);
      // The first bytes of both tails are the same.
      const expected = file.equals(before) ? "x-a\n\u00ff" : undefined;
      assert.equal(read(file)?.record.head.fields, expected, `${written} bytes written`);
    }
  });

  it("computes the same checksums wherever a body is split", () => {
    const body = Buffer.alloc(2 * BLOCK_BYTES + 10, "0123456789abcdef");
    for (const size of [1000, BLOCK_BYTES - 1, BLOCK_BYTES, BLOCK_BYTES + 1, body.length]) {
      const running = new RunningChecksums();
      for (let at = 0; at < body.length; at += size) running.push(body.subarray(at, at + size));
      assert.deepEqual(running.finish(), toChecksums(body), `pieces of ${size}`);
    }
  });
});

/** Bytes at the end of a footer that no checksum covers, since they are free. */
const UNUSED_BYTES = 2;

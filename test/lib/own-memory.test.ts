import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toOwnMemory } from "../../runtime/lib/own-memory.ts";

describe("toOwnMemory", () => {
  it("copies bytes that are less than half of their memory", () => {
    const read = Buffer.alloc(1_000, "read");
    for (const [from, to] of [
      [0, 0],
      [0, 1],
      [1, 500],
      [501, 1_000],
    ] as const) {
      const bytes = read.subarray(from, to);
      const own = toOwnMemory(bytes);
      assert.deepEqual(own, bytes);
      assert.equal(own.buffer.byteLength, to - from);
      assert.equal(toOwnMemory(own), own, "copied once");
    }
  });

  it("copies small bytes out of Node's pool", () => {
    const bytes = Buffer.from("small");
    assert.ok(bytes.buffer.byteLength > bytes.length);
    assert.equal(toOwnMemory(bytes).buffer.byteLength, bytes.length);
  });

  it("keeps other bytes where they are", () => {
    const read = Buffer.alloc(1_000);
    for (const bytes of [read, read.subarray(0, 500), read.subarray(400), Buffer.alloc(0)]) {
      assert.equal(toOwnMemory(bytes), bytes);
    }
  });
});

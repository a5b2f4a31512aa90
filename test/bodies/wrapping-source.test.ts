import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { WrappingSource } from "../../runtime/bodies/wrapping-source.ts";
import { LendingSource } from "./lending-source.ts";

/** Delivers each byte twice, in one piece per byte of input: more bytes wait here than the inner body has. */
class DoublingSource extends WrappingSource {
  readonly ends: string[] = [];
  #waiting = Buffer.alloc(0);

  break(): void {
    this.fail(502);
  }

  protected override pull(maxBytes: number): Uint8Array | null {
    if (this.#waiting.length === 0) {
      const piece = this.inner.read(100);
      if (piece === null) return null;
      this.#waiting = Buffer.from([...piece].flatMap((byte) => [byte, byte]));
    }
    const piece = this.#waiting.subarray(0, maxBytes);
    this.#waiting = this.#waiting.subarray(piece.length);
    return piece;
  }

  protected override get isDrained(): boolean {
    return this.#waiting.length === 0;
  }

  protected override onEnd(end: "ended" | "failed"): void {
    this.ends.push(end);
  }
}

/** Passes all on. */
class PlainSource extends WrappingSource {}

const step = fc.record({
  do: fc.constantFrom("add", "add", "read", "read", "read", "end", "fail", "break", "cancel"),
  bytes: fc.integer({ min: 1, max: 150 }),
});

describe("WrappingSource", () => {
  it("delivers bytes in order, ends once, and cancels the inner body at most once", () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const inner = new LendingSource();
        const source = new DoublingSource(inner);
        let added = 0;
        let read = 0;
        let stopped = false;
        let changes = 0;
        source.onChange = () => changes++;
        for (const { do: name, bytes } of steps) {
          const isOver = source.state !== "open";
          const [readsBefore, changesBefore] = [inner.reads, changes];
          if (name === "add" && inner.state === "open") {
            inner.add(Uint8Array.from({ length: bytes }, (_, at) => (added + at) % 251));
            added += bytes;
          } else if (name === "read") {
            const piece = source.read(bytes);
            assert.ok(piece === null || (!isOver && piece.length > 0 && piece.length <= bytes));
            for (const [at, byte] of (piece ?? []).entries()) {
              assert.equal(byte, Math.floor((read + at) / 2) % 251);
            }
            read += piece?.length ?? 0;
          } else if (name === "end" && inner.state === "open" && inner.waitingBytes === 0) {
            inner.finish("ended");
          } else if (name === "fail" && inner.state === "open") inner.finish("failed");
          else if (name === "break") source.break();
          else if (name === "cancel") source.cancel();
          const hasFailed = name === "fail" && inner.state === "failed";
          stopped ||= !isOver && (hasFailed || name === "break" || name === "cancel");
          if (name !== "read") assert.equal(inner.reads, readsBefore, "only a read reads");
          if (isOver) assert.equal(inner.reads, readsBefore, "nothing is read after the end");
          if (name === "cancel") assert.equal(changes, changesBefore);
          assert.deepEqual(source.ends, source.state === "open" ? [] : [source.state]);
          assert.ok(inner.cancels <= 1);
          if (source.state === "ended") assert.equal(read, 2 * added);
          if (stopped && source.state !== "ended") assert.equal(source.state, "failed");
        }
      }),
      { numRuns: 500 },
    );
  });

  it("lends the pieces of the inner body, the last one also after the end", () => {
    const inner = new LendingSource();
    const source = new PlainSource(inner);
    inner.add(Buffer.from("last"));
    const piece = source.read(10);
    inner.finish("ended");
    assert.deepEqual([source.state, String(piece)], ["ended", "last"]);
    assert.equal(source.read(10), null);
    assert.equal(String(piece), "last");
    source.cancel();
    source.cancel();
    assert.deepEqual([source.state, inner.cancels], ["ended", 1]);
  });

  it("fails with the inner body, although it has bytes left, and tells the status", () => {
    const inner = new LendingSource();
    const source = new DoublingSource(inner);
    inner.add(Buffer.from("ab"));
    source.read(1);
    inner.finish("failed");
    assert.deepEqual([source.state, source.read(1), source.failedAs], ["failed", null, 507]);
    assert.deepEqual([source.ends, inner.cancels], [["failed"], 0]);
  });

  it("has a status of its own when the subclass fails, and tells its reader", () => {
    const inner = new LendingSource();
    const source = new DoublingSource(inner);
    const states: string[] = [];
    source.onChange = () => states.push(source.state);
    source.break();
    inner.finish("failed");
    assert.deepEqual([states, source.failedAs, inner.cancels], [["failed"], 502, 1]);
  });
});

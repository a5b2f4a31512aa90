import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { BreakableSource } from "../../runtime/dispatch/breakable-source.ts";
import { LendingSource } from "../bodies/lending-source.ts";

const STEPS = ["add", "add", "read", "read", "end", "fail", "break", "cancel"] as const;

describe("BreakableSource", () => {
  it("passes bytes on as they are, and ends once, with the reason that came first", () => {
    const steps = fc.array(fc.constantFrom(...STEPS), { maxLength: 30 });
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 9 }), (names, size) => {
        const inner = new LendingSource();
        const source = new BreakableSource(inner);
        let [added, read] = ["", ""];
        let end: { state: string; failedAs: number } | null = null;
        for (const [at, name] of names.entries()) {
          const told: string[] = [];
          if (name !== "cancel" && end === null) source.onChange = () => told.push(source.state);
          const wasOpen = source.state === "open";
          if (name === "add" && inner.state === "open" && inner.cancels === 0) {
            const text = String.fromCharCode(97 + (at % 26)).repeat(size);
            added += text;
            inner.add(Buffer.from(text));
          } else if (name === "read") {
            const piece = source.read(3);
            assert.ok(wasOpen || piece === null, "nothing is read after the end");
            read += String(piece ?? "");
          } else if (name === "end" && inner.state === "open" && inner.waitingBytes === 0) {
            inner.finish("ended");
          } else if (name === "fail" && inner.state === "open") inner.finish("failed");
          else if (name === "break") source.break();
          else if (name === "cancel") source.cancel();
          const { state, failedAs } = source;
          if (wasOpen && state !== "open") {
            const isOwn = name === "break" || (name === "cancel" && inner.state === "open");
            assert.equal(state, isOwn || name === "fail" ? "failed" : "ended");
            assert.equal(failedAs, name === "break" ? 500 : 507);
            if (name === "break") assert.deepEqual([told, inner.cancels], [["failed"], 1]);
            end = { state, failedAs };
          } else if (end !== null) {
            assert.deepEqual({ state, failedAs }, end, "the first reason counts");
            assert.deepEqual(told, []);
          }
          assert.ok(inner.cancels <= 1);
          assert.ok(added.startsWith(read));
          if (state === "ended") assert.equal(read, added);
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it("changes nothing about an answer that is complete", () => {
    const inner = new LendingSource();
    const source = new BreakableSource(inner);
    inner.add(Buffer.from("last"));
    const piece = source.read(10);
    inner.finish("ended");
    source.break();
    assert.deepEqual([source.state, String(piece), inner.cancels], ["ended", "last", 0]);
  });

  it("loses the bytes that have not been read when it breaks", () => {
    const inner = new LendingSource();
    const source = new BreakableSource(inner);
    inner.add(Buffer.from("abcdef"));
    assert.equal(String(source.read(3)), "abc");
    source.break();
    assert.deepEqual([source.state, source.read(3), source.failedAs], ["failed", null, 500]);
  });
});

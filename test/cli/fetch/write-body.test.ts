import assert from "node:assert/strict";
import { once } from "node:events";
import { PassThrough } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers/promises";
import { writeBody } from "../../../runtime/cli/fetch/write-body.ts";
import type { BodySource } from "../../../runtime/http/client.ts";

/** A source whose chunks and end come when the test says so. */
class ScriptedSource implements BodySource {
  state: BodySource["state"] = "open";
  onChange: (() => void) | null = null;
  isCancelled = false;
  readonly #chunks: Uint8Array[] = [];

  push(part: string): void {
    this.#chunks.push(Buffer.from(part));
    this.onChange?.();
  }

  finish(state: "ended" | "failed"): void {
    this.state = state;
    this.onChange?.();
  }

  get left(): number {
    return this.#chunks.length;
  }

  read(): Uint8Array | null {
    return this.#chunks.shift() ?? null;
  }

  cancel(): void {
    this.isCancelled = true;
  }
}

const never = new AbortController().signal;

describe("writeBody()", () => {
  it("copies lent bytes before it returns", async () => {
    const output = new PassThrough();
    const bytes = Buffer.from("lent");
    const end = writeBody(bytes, { output, signal: never });
    bytes.fill(0);
    assert.equal(await end, "complete");
    output.end();
    assert.equal(await text(output), "lent");
  });

  it("writes a stream as it comes, and tells its end", async () => {
    for (const [state, outcome] of [
      ["ended", "complete"],
      ["failed", "broken"],
    ] as const) {
      const source = new ScriptedSource();
      const output = new PassThrough();
      source.push("a");
      const end = writeBody(source, { output, signal: never });
      await setImmediate();
      source.push("b");
      await setImmediate();
      source.finish(state);
      assert.equal(await end, outcome);
      assert.equal(source.onChange, null);
      output.end();
      assert.equal(await text(output), "ab");
    }
  });

  it("sees a chunk that comes in the same turn as the reply", async () => {
    const source = new ScriptedSource();
    const output = new PassThrough();
    const end = writeBody(source, { output, signal: never });
    source.push("a");
    const chunk: unknown[] = await once(output, "data");
    assert.equal(String(chunk[0]), "a");
    source.finish("ended");
    assert.equal(await end, "complete");
  });

  it("waits for an output that is full", async () => {
    const source = new ScriptedSource();
    const output = new PassThrough({ highWaterMark: 2 });
    for (const part of ["abc", "def", "ghi", "jkl"]) source.push(part);
    source.state = "ended";
    const end = writeBody(source, { output, signal: never });
    await setImmediate();
    assert.ok(source.left > 0, "the source waits for the output");
    const read = text(output);
    assert.equal(await end, "complete");
    output.end();
    assert.equal(await read, "abcdefghijkl");
  });

  it("leaves a stream, also while the output is full", async () => {
    for (const highWaterMark of [1, 1024]) {
      const source = new ScriptedSource();
      const ending = new AbortController();
      source.push("abc");
      const output = new PassThrough({ highWaterMark });
      const end = writeBody(source, { output, signal: ending.signal });
      await setImmediate();
      ending.abort();
      assert.equal(await end, "left");
      assert.ok(source.isCancelled);
    }
  });
});

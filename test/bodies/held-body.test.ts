import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { BlockPool } from "../../runtime/bodies/block-pool.ts";
import { HeldBody } from "../../runtime/bodies/held-body.ts";
import type { BodySink } from "../../runtime/http/client.ts";
import { FakeClient } from "../dispatch/fake-client.ts";

/** Keeps all that it gets, and checks that nothing follows the end. */
class Collector implements BodySink {
  bytes = Buffer.alloc(0);
  ended = false;

  chunk(bytes: Uint8Array): void {
    assert.equal(this.ended, false);
    assert.ok(bytes.length > 0);
    this.bytes = Buffer.concat([this.bytes, bytes]);
  }

  end(): void {
    assert.equal(this.ended, false);
    this.ended = true;
  }
}

type Step = { kind: "chunk"; bytes: Uint8Array } | { kind: "end" | "release" | "pause" | "resume" };

function createHeld(client: FakeClient): HeldBody {
  const held = new HeldBody({ spool: null, blocks: new BlockPool() });
  client.holdBody(held);
  return held;
}

describe("HeldBody", () => {
  it("passes every byte on once, in order, whenever it is released and paused", () => {
    const chunk = fc.uint8Array({ minLength: 1, maxLength: 200 });
    const steps = fc.array(
      fc.oneof(
        chunk.map((bytes): Step => ({ kind: "chunk", bytes })),
        fc.constantFrom<Step>({ kind: "pause" }, { kind: "resume" }),
      ),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(steps, steps, fc.boolean(), (before, after, endsFirst) => {
        const client = new FakeClient(1, { method: "POST", bodyBytes: null });
        createHeld(client);
        const sink = new Collector();
        const sent: Uint8Array[] = [];
        for (const step of before) {
          if (step.kind !== "chunk") continue;
          sent.push(step.bytes);
          client.sendChunk(step.bytes);
        }
        assert.equal(sink.bytes.length, 0);
        if (endsFirst) client.sendEnd();
        const flow = client.receiveBody(sink);
        for (const step of after) {
          if (step.kind === "pause") flow.pause();
          else if (step.kind === "resume") flow.resume();
          else if (step.kind === "chunk" && !endsFirst) {
            sent.push(step.bytes);
            client.sendChunk(step.bytes);
          }
        }
        if (!endsFirst) client.sendEnd();
        flow.resume();
        assert.deepEqual(sink.bytes, Buffer.concat(sent));
        assert.equal(sink.ended, true);
      }),
    );
  });

  it("pauses a client that sends much before the decision", () => {
    const client = new FakeClient(1, { method: "POST", bodyBytes: 1_000_000 });
    createHeld(client);
    client.sendChunk(Buffer.alloc(1_000));
    assert.equal(client.held, false);
    client.sendChunk(Buffer.alloc(100_000));
    assert.equal(client.held, true);
    const sink = new Collector();
    client.receiveBody(sink);
    assert.deepEqual([client.held, sink.bytes.length], [false, 101_000]);
  });

  it("drops everything when it closes", () => {
    const client = new FakeClient(1, { method: "POST", bodyBytes: 1_000_000 });
    const held = createHeld(client);
    client.sendChunk(Buffer.alloc(100_000));
    held.close();
    assert.equal(client.held, false);
    client.sendChunk(Buffer.alloc(100_000));
    client.sendEnd();
    const sink = new Collector();
    held.release(sink);
    assert.deepEqual([sink.bytes.length, sink.ended], [0, false]);
  });
});

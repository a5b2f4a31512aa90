import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { CHUNK_BYTES, REQUEST_CREDIT_BYTES } from "../../runtime/channel/messages.ts";
import { ByteBudget } from "../../runtime/bodies/byte-budget.ts";
import { RequestIntake } from "../../runtime/bodies/request-intake.ts";
import { FakeClient } from "../dispatch/fake-client.ts";
import { NO_SPOOL } from "../dispatch/spooling.ts";

const KIB = 1024;
const HIGH_WATER_BYTES = 256 * KIB;

/** An intake with a client at one end and, once the test says so, a worker at the other. */
class Passage {
  readonly client: FakeClient;
  readonly intake: RequestIntake;
  readonly events: string[] = [];
  readonly delivered: Buffer[] = [];
  whole: Uint8Array | null = null;
  creditBytes = REQUEST_CREDIT_BYTES;

  constructor(options: {
    limitBytes: number;
    bufferBytes: number;
    announced?: number;
    budget?: ByteBudget;
  }) {
    this.client = new FakeClient(1, { bodyBytes: options.announced ?? null });
    this.intake = new RequestIntake({ overflow: "stream", spool: NO_SPOOL, ...options });
    this.intake.start(this.client, {
      onWhole: (body) => {
        this.events.push("whole");
        this.whole = body;
      },
      onOverflow: () => this.events.push("overflow"),
      onRefused: (code) => this.events.push(code),
    });
  }

  feed(): void {
    this.intake.feed({
      chunk: (bytes) => {
        assert.ok(bytes.length > 0 && bytes.length <= CHUNK_BYTES);
        this.creditBytes -= bytes.length;
        assert.ok(this.creditBytes >= 0, "never more than was granted");
        this.delivered.push(Buffer.from(bytes));
      },
      end: () => this.events.push("end"),
    });
  }

  grant(bytes: number): void {
    this.creditBytes += bytes;
    this.intake.grant(bytes);
  }
}

const plan = fc.record({
  bufferBytes: fc.constantFrom(0, 10, 64 * KIB, 400 * KIB, 1024 * KIB),
  limitBytes: fc.constantFrom(5, 100 * KIB, 1024 * KIB, 8 * 1024 * KIB),
  steps: fc.array(
    fc.record({
      do: fc.constantFrom(
        "chunk",
        "chunk",
        "chunk",
        "chunk",
        "grant",
        "grant",
        "feed",
        "close",
        "end",
      ),
      bytes: fc.oneof(fc.nat({ max: 10 }), fc.integer({ min: 1, max: 300 * KIB })),
    }),
    { maxLength: 60, size: "max" },
  ),
});

describe("RequestIntake", () => {
  it("delivers each byte once and in order, within credit, limit and bounds", () => {
    fc.assert(
      fc.property(plan, ({ bufferBytes, limitBytes, steps }) => {
        const budget = new ByteBudget(Number.MAX_SAFE_INTEGER);
        const passage = new Passage({ limitBytes, bufferBytes, budget });
        const { client, events } = passage;
        const sent: Buffer[] = [];
        let sentBytes = 0;
        let isClosed = false;
        let isEnded = false;
        for (const step of steps) {
          const isRefused = sentBytes > limitBytes;
          if (step.do === "chunk" && !isEnded && !client.held) {
            // Each byte tells its position in the whole.
            const chunk = Buffer.alloc(step.bytes, sent.length % 251);
            sent.push(chunk);
            sentBytes += chunk.length;
            client.sendChunk(chunk);
          } else if (step.do === "grant") {
            passage.grant(step.bytes);
          } else if (step.do === "feed" && events.includes("overflow")) {
            passage.feed();
          } else if (step.do === "end" && !isEnded) {
            isEnded = true;
            client.sendEnd();
          } else if (step.do === "close") {
            isClosed = true;
            passage.intake.close();
            assert.equal(budget.heldBytes, 0);
          }
          const delivered = Buffer.concat(passage.delivered);
          const all = Buffer.concat(sent);
          assert.ok(delivered.equals(all.subarray(0, delivered.length)), "in order, once");
          if (isClosed || isRefused || sentBytes > limitBytes) {
            assert.equal(client.held, false, "a refused client is not paused");
          } else if (!isEnded && events[0] === "overflow") {
            const waiting = sentBytes - delivered.length;
            assert.equal(client.held, waiting > HIGH_WATER_BYTES);
            assert.ok(waiting <= Math.max(HIGH_WATER_BYTES, bufferBytes) + 300 * KIB);
          } else if (!isEnded) {
            assert.equal(client.held, false, "a gathered body is not paused");
            assert.ok(budget.heldBytes <= bufferBytes);
          }
        }
        assert.equal(new Set(events).size, events.length, "each once");
        assert.ok(!(events.includes("whole") && events.includes("overflow")));
        if (sentBytes > limitBytes && !isClosed) {
          assert.equal(events.at(-1), "ERR_BODY_TOO_LARGE");
        }
        if (passage.whole !== null) {
          assert.ok(Buffer.concat(sent).equals(passage.whole));
          assert.ok(sentBytes <= bufferBytes);
        }
        if (isClosed || sentBytes > limitBytes || !events.includes("overflow")) return;
        // It comes to its end when both sides go on.
        passage.feed();
        if (!isEnded) client.sendEnd();
        passage.grant(sentBytes);
        assert.equal(events.at(-1), "end");
        assert.ok(Buffer.concat(passage.delivered).equals(Buffer.concat(sent)));
        assert.equal(budget.heldBytes, 0);
      }),
      { numRuns: 200 },
    );
  });

  it("refuses a body that announces more than the limit, without receiving it", () => {
    const { client, events } = new Passage({ limitBytes: 10, bufferBytes: 10, announced: 11 });
    client.sendChunk(Buffer.alloc(11));
    assert.deepEqual(events, ["ERR_BODY_TOO_LARGE"]);
  });

  it("gathers a body that is larger than the high-water mark", () => {
    const size = 400 * KIB;
    const passage = new Passage({ limitBytes: size, bufferBytes: size });
    for (let at = 0; at < size; at += 100 * KIB) passage.client.sendChunk(Buffer.alloc(100 * KIB));
    passage.client.sendEnd();
    assert.deepEqual(passage.events, ["whole"]);
    assert.equal(passage.client.flowChanges, 0);
  });

  it("refuses to gather more than the shared budget, and gives its share back when closed", () => {
    const budget = new ByteBudget(100);
    const options = { limitBytes: 1_000, bufferBytes: 80, budget };
    const [first, second, third] = [0, 1, 2].map(() => new Passage(options)) as [
      Passage,
      Passage,
      Passage,
    ];
    first.client.sendBody(Buffer.alloc(60));
    second.client.sendChunk(Buffer.alloc(40));
    second.client.sendChunk(Buffer.alloc(1));
    assert.deepEqual([first.events, second.events], [["whole"], ["ERR_OVERLOADED"]]);
    // The whole body waits for a worker; the refused one is gone.
    assert.equal(budget.heldBytes, 60);
    first.intake.close();
    assert.equal(budget.heldBytes, 0);
    // A body that overflows pauses its client instead.
    third.client.sendChunk(Buffer.alloc(80));
    third.client.sendChunk(Buffer.alloc(80));
    assert.deepEqual([third.events, budget.heldBytes], [["overflow"], 0]);
  });
});

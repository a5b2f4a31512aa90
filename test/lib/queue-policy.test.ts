import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findQueueBreach, type QueueState } from "../../runtime/lib/queue-policy.ts";

const LIMITS = { limit: 1_000, delayMs: 500 };

/** Two workers that together answer one request per millisecond. */
const STATE: QueueState = {
  queued: 0,
  ahead: 0,
  firstWaitsMs: 0,
  workers: 2,
  busy: 20,
  latencyMs: 20,
};

describe("findQueueBreach()", () => {
  it("estimates the wait, and includes the wait of the first exchange", () => {
    const cases: [change: Partial<QueueState>, breach: string | null][] = [
      [{}, null],
      [{ ahead: 500, firstWaitsMs: 500 }, null],
      [{ ahead: 501 }, "queueDelay"],
      // The others go after it.
      [{ queued: 999, ahead: 500 }, null],
      [{ ahead: 501, busy: 40 }, null],
      [{ ahead: 501, latencyMs: 10 }, null],
      [{ queued: 1, firstWaitsMs: 501 }, "queueDelay"],
      [{ queued: 1_000, latencyMs: 0 }, "queueLimit"],
      [{ queued: 999, latencyMs: 0 }, null],
      // Workers that are retired or full of streams give no estimate.
      [{ queued: 999, ahead: 999, busy: 0 }, null],
      [{ queued: 999, ahead: 999, firstWaitsMs: 9_999, workers: 0, busy: 0 }, null],
      [{ queued: 1_000, workers: 0, busy: 0 }, "queueLimit"],
    ];
    for (const [change, breach] of cases) {
      const state = { ...STATE, ...change };
      assert.equal(findQueueBreach(state, LIMITS), breach, JSON.stringify(change));
    }
  });

  it("bounds only the number when the wait does not matter", () => {
    const limits = { limit: 1_000, delayMs: 0 };
    assert.equal(findQueueBreach({ ...STATE, queued: 999, firstWaitsMs: 1e6 }, limits), null);
    assert.equal(findQueueBreach({ ...STATE, queued: 1_000 }, limits), "queueLimit");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findBreach, type Transfer } from "../../runtime/http/transfer-limits.ts";

const LIMITS = { bodyTimeoutMs: 60_000, minBodyRateBytesPerSecond: 240, sendTimeoutMs: 30_000 };
const NO_LIMITS = { bodyTimeoutMs: 0, minBodyRateBytesPerSecond: 0, sendTimeoutMs: 0 };

const receiving = (sinceMs: number, lastChunkMs: number, receivedBytes: number): Transfer => ({
  receiving: { sinceMs, lastChunkMs, receivedBytes, answering: false },
  sending: null,
});
const answering = (lastChunkMs: number): Transfer => ({
  receiving: { sinceMs: 0, lastChunkMs, receivedBytes: 0, answering: true },
  sending: null,
});
const sending = (progressMs: number): Transfer => ({ receiving: null, sending: { progressMs } });

describe("findBreach()", () => {
  it("names the setting that a slow client breaks", () => {
    const cases: [transfer: Transfer, nowMs: number, breach: string | null][] = [
      [{ receiving: null, sending: null }, 1e9, null],
      // A pause is measured from the last chunk.
      [receiving(0, 0, 0), 10_000, null],
      [receiving(0, 100_000, 1e6), 160_000, null],
      [receiving(0, 100_000, 1e6), 160_001, "bodyTimeout"],
      // The average is measured once the grace of 10 s is over, and counts from then.
      [receiving(0, 9_999, 0), 10_000, null],
      [receiving(0, 10_500, 120), 10_500, null],
      [receiving(0, 10_500, 119), 10_500, "minBodyRate"],
      [receiving(0, 20_000, 2_400), 20_000, null],
      [receiving(0, 20_000, 2_399), 20_000, "minBodyRate"],
      [receiving(5_000, 20_000, 1_200), 20_000, null],
      // Both: the pause says more.
      [receiving(0, 0, 0), 60_001, "bodyTimeout"],
      // Once it is answered only silence counts.
      [answering(20_000), 80_000, null],
      [answering(20_000), 80_001, "bodyTimeout"],
      [sending(1_000), 31_000, null],
      [sending(1_000), 31_001, "sendTimeout"],
      [{ ...receiving(0, 0, 1e9), sending: { progressMs: 0 } }, 30_001, "sendTimeout"],
    ];
    for (const [transfer, nowMs, breach] of cases) {
      assert.equal(findBreach(transfer, LIMITS, nowMs), breach, JSON.stringify([transfer, nowMs]));
      assert.equal(findBreach(transfer, NO_LIMITS, nowMs), null);
    }
  });
});

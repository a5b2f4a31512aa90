import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toNoticeMs, toRetireGraceMs } from "../../runtime/supervise/retire-grace.ts";

describe("toRetireGraceMs()", () => {
  const rows: [drainGraceMs: number, requestTimeoutMs: number, graceMs: number][] = [
    // The defaults.
    [30_000, 60_000, 61_000],
    [62_000, 60_000, 62_000],
    [60_000, 60_000, 61_000],
    [0, 9_000, 10_000],
    [0, 900, 1_000],
    [950, 900, 1_000],
    [0, 9, 10],
  ];
  for (const [drainGraceMs, requestTimeoutMs, graceMs] of rows) {
    it(`is ${graceMs} ms of ${drainGraceMs} and ${requestTimeoutMs} ms`, () => {
      assert.equal(toRetireGraceMs({ drainGraceMs, requestTimeoutMs }), graceMs);
    });
  }

  it("aborts no exchange before its timeout, and never shortens `drainGrace`", () => {
    const lengths = [0, 1, 7, 99, 100, 999, 1_000, 8_999, 9_000, 9_001, 10_000, 60_000, 86_400_000];
    for (const drainGraceMs of lengths) {
      for (const requestTimeoutMs of lengths) {
        const graceMs = toRetireGraceMs({ drainGraceMs, requestTimeoutMs });
        const abortMs = graceMs - toNoticeMs(graceMs);
        const place = `${drainGraceMs} and ${requestTimeoutMs} ms`;
        // Fractions are rounded.
        assert.ok(abortMs > requestTimeoutMs - 0.001, place);
        assert.ok(graceMs >= drainGraceMs, place);
      }
    }
  });
});

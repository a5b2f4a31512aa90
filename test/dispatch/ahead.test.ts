import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Ahead } from "../../runtime/dispatch/ahead.ts";

/** Notes answers that each took so long, one after another. */
function answer(
  ahead: Ahead,
  count: number,
  { tookMs, fromMs }: { tookMs: number; fromMs: number },
): number {
  let nowMs = fromMs;
  for (let number = 0; number < count; number++) {
    nowMs += tookMs;
    ahead.onAnswer(nowMs - tookMs, nowMs);
  }
  return nowMs;
}

describe("Ahead", () => {
  it("gives nothing in advance before answers are measured, and while they are slow", () => {
    const ahead = new Ahead();
    assert.equal(ahead.size, 0);
    answer(ahead, 1_000, { tookMs: 5, fromMs: 0 });
    assert.equal(ahead.size, 0);
  });

  it("gives as many as take 4 ms together, at most 48", () => {
    const ahead = new Ahead();
    const endMs = answer(ahead, 1_000, { tookMs: 1, fromMs: 0 });
    assert.equal(ahead.size, 3);
    answer(ahead, 1_000, { tookMs: 0.01, fromMs: endMs });
    assert.equal(ahead.size, 48);
  });

  it("counts the time since the answer before, for an exchange that was behind others", () => {
    const ahead = new Ahead();
    answer(ahead, 1_000, { tookMs: 0.1, fromMs: 0 });
    // Ten exchanges that were dispatched together, answered in a row.
    for (let number = 1; number <= 10; number++) ahead.onAnswer(100, 100 + number / 10);
    assert.ok(ahead.size > 30, `${ahead.size}`);
  });

  it("stops at one slow answer, and when the worker gives exchanges back", () => {
    const slow = new Ahead();
    const endMs = answer(slow, 1_000, { tookMs: 0.1, fromMs: 0 });
    slow.onAnswer(endMs, endMs + 1_000);
    assert.equal(slow.size, 0);
    const returned = new Ahead();
    answer(returned, 1_000, { tookMs: 0.1, fromMs: 0 });
    returned.onReturned();
    assert.equal(returned.size, 0);
    // The slow exchange is answered.
    returned.onAnswer(1_000, 1_000.1);
    assert.ok(returned.size > 30, `${returned.size}`);
  });
});

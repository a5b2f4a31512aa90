import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  beginAttempt,
  failAttempt,
  NO_ATTEMPTS,
  toRenewalMs,
} from "../../runtime/acme/schedule.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

describe("toRenewalMs()", () => {
  it("is two thirds of the lifetime, and a little more at random", () => {
    const cases: [days: number, from: number, to: number][] = [
      [90, 60, 61.5],
      [6, 4, 4.1],
      [398, 265.3, 272],
    ];
    for (const [days, from, to] of cases) {
      const life = { notBeforeMs: 5 * DAY, notAfterMs: (5 + days) * DAY };
      const [first, last] = [0, 1].map((random) => toRenewalMs(life, random) / DAY - 5);
      assert.ok(first !== undefined && first >= from - 0.1 && first <= from + 0.1, `${days} days`);
      assert.ok(last !== undefined && last > first && last <= to, `${days} days`);
    }
  });
});

describe("attempts", () => {
  it("wait longer after each failure, also when the process ends within an attempt", () => {
    let attempts = NO_ATTEMPTS;
    const waits: number[] = [];
    for (let count = 0; count < 10; count++) {
      attempts = beginAttempt(attempts, 1_000);
      waits.push((attempts.nextAttemptMs - 1_000) / MINUTE);
    }
    assert.deepEqual(waits, [5, 10, 20, 40, 80, 160, 320, 640, 720, 720]);
    assert.equal(attempts.failures, 10);
  });

  it("wait as long as the authority says, if that is longer", () => {
    const begun = beginAttempt(NO_ATTEMPTS, 0);
    const fail = (retryAfterMs: number | null): number =>
      failAttempt(begun, { nowMs: MINUTE, reason: "no", retryAfterMs }).nextAttemptMs;
    assert.deepEqual(
      [fail(null), fail(1_000), fail(HOUR)],
      [5 * MINUTE, 5 * MINUTE, HOUR + MINUTE],
    );
    assert.equal(fail(Number.MAX_SAFE_INTEGER), 30 * DAY + MINUTE);
  });
});

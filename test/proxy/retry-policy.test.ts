import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { assert as assertProperty, boolean, constantFrom, nat, property, record } from "fast-check";
import { RetryBudget } from "../../runtime/proxy/retry-budget.ts";
import {
  decideRetry,
  type FailedAttempt,
  isIdempotentMethod,
  type RetryDecision,
  statusOfFailure,
} from "../../runtime/proxy/retry-policy.ts";

const REFUSED = {
  phase: "connect",
  sent: false,
  begun: false,
  reused: false,
  timedOut: false,
} as const;
const SENT = { ...REFUSED, phase: "first-byte", sent: true } as const;
const ATTEMPT: FailedAttempt = {
  failure: REFUSED,
  isIdempotent: true,
  isBodyKept: true,
  left: 2,
  hasTriedFresh: false,
  waitsLeft: 2,
  isLate: false,
};

describe("decideRetry()", () => {
  it("follows its table", () => {
    const cases: [name: string, attempt: Partial<FailedAttempt>, decision: RetryDecision][] = [
      ["GET, not sent", {}, "other"],
      ["POST, not sent", { isIdempotent: false }, "other"],
      [
        "POST, not sent, part of the body gone",
        { isIdempotent: false, isBodyKept: false },
        "give-up",
      ],
      ["not sent, no server left", { left: 0 }, "wait"],
      ["POST, not sent, no server left", { left: 0, isIdempotent: false }, "wait"],
      ["not sent, no server left, for a long time", { left: 0, isLate: true }, "give-up"],
      ["not sent, no server left, for many waits", { left: 0, waitsLeft: 0 }, "give-up"],
      ["GET, sent, no server left", { left: 0, failure: SENT }, "give-up"],
      ["not sent, too late", { failure: { ...REFUSED, timedOut: true } }, "other"],
      ["GET, sent", { failure: SENT }, "other"],
      ["GET, sent, no answer in time", { failure: { ...SENT, timedOut: true } }, "other"],
      ["POST, sent", { failure: SENT, isIdempotent: false }, "give-up"],
      ["PUT, sent, body gone", { failure: SENT, isBodyKept: false }, "give-up"],
      ["GET on a kept connection", { failure: { ...SENT, reused: true } }, "fresh"],
      [
        "GET on a kept connection, no server left",
        { failure: { ...SENT, reused: true }, left: 0 },
        "fresh",
      ],
      [
        "GET on kept connections twice",
        { failure: { ...SENT, reused: true }, hasTriedFresh: true },
        "other",
      ],
      [
        "GET on a kept connection, too late",
        { failure: { ...SENT, reused: true, timedOut: true } },
        "other",
      ],
      [
        "POST on a kept connection, sent",
        { failure: { ...SENT, reused: true }, isIdempotent: false },
        "give-up",
      ],
      [
        "POST on a kept connection, not sent",
        { failure: { ...REFUSED, reused: true }, isIdempotent: false },
        "fresh",
      ],
      ["GET, head broken", { failure: { ...SENT, phase: "head", begun: true } }, "give-up"],
      ["GET, body broken", { failure: { ...SENT, phase: "body", begun: true } }, "give-up"],
    ];
    for (const [name, attempt, decision] of cases) {
      assert.equal(decideRetry({ ...ATTEMPT, ...attempt }), decision, name);
    }
  });

  it("never sends a request again that may have run and is not idempotent, or whose response has begun", () => {
    const phase = constantFrom("connect", "tls", "send", "first-byte", "head", "body");
    const failure = record({
      phase,
      sent: boolean(),
      begun: boolean(),
      reused: boolean(),
      timedOut: boolean(),
    });
    const attempt = record({
      failure,
      isIdempotent: boolean(),
      isBodyKept: boolean(),
      left: nat(3),
      hasTriedFresh: boolean(),
      waitsLeft: nat(2),
      isLate: boolean(),
    });
    assertProperty(
      property(attempt, (facts) => {
        const decision = decideRetry(facts);
        const mayHaveRun = facts.failure.sent && !facts.isIdempotent;
        if (facts.failure.begun || mayHaveRun || !facts.isBodyKept)
          assert.equal(decision, "give-up");
        if (decision === "other") assert.ok(facts.left > 0);
        if (decision === "wait") assert.ok(!facts.failure.sent && facts.waitsLeft > 0);
        if (decision === "fresh") assert.ok(!facts.hasTriedFresh);
      }),
    );
  });
});

describe("statusOfFailure()", () => {
  it("tells a slow upstream from a broken one", () => {
    assert.equal(statusOfFailure({ timedOut: true }), 504);
    assert.equal(statusOfFailure({ timedOut: false }), 502);
  });
});

describe("isIdempotentMethod()", () => {
  it("knows the methods of RFC 9110, case-sensitive, and no others", () => {
    for (const method of ["GET", "HEAD", "OPTIONS", "PUT", "DELETE"])
      assert.ok(isIdempotentMethod(method));
    for (const method of ["POST", "PATCH", "LOCK", "get"])
      assert.ok(!isIdempotentMethod(method), method);
  });
});

describe("RetryBudget", () => {
  it("lets a fifth of the requests be sent again, after a first stock", () => {
    const budget = new RetryBudget();
    let stock = 0;
    while (budget.take()) stock++;
    let retries = 0;
    for (let request = 0; request < 1000; request++) {
      budget.note();
      if (budget.take()) retries++;
    }
    assert.ok(stock > 0 && stock <= 100, `${stock}`);
    assert.ok(retries >= 199 && retries <= 200, `${retries}`);
  });

  it("saves no more than a bounded number of retries", () => {
    const budget = new RetryBudget();
    for (let request = 0; request < 1_000_000; request++) budget.note();
    let retries = 0;
    while (budget.take()) retries++;
    assert.ok(retries <= 1000, `${retries}`);
  });
});

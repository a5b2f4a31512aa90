import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RouteLimits, RouteReport } from "../../runtime/channel/messages.ts";
import { RuleBook } from "../../runtime/dispatch/route-rules.ts";

const DEFAULTS = {
  bodyLimitBytes: 1_000,
  requestTimeoutMs: 60_000,
  bodyTimeoutMs: 50_000,
  minBodyRateBytesPerSecond: 240,
  sendTimeoutMs: 40_000,
};

const NOTHING: RouteLimits = {
  bodyLimitBytes: null,
  timeoutMs: null,
  bodyTimeoutMs: null,
  minBodyRateBytesPerSecond: null,
  sendTimeoutMs: null,
  reserved: null,
};

const PLAIN = { bodyLimitBytes: 1_000, timeoutMs: 60_000, transfer: null, reserved: false };

function report(
  limits: Partial<RouteLimits>,
  methodLimits: Record<string, Partial<RouteLimits>> = {},
): RouteReport {
  const full = Object.entries(methodLimits).map(([method, own]) => [
    method,
    { ...NOTHING, ...own },
  ]);
  return {
    methods: null,
    limits: { ...NOTHING, ...limits },
    // Each value was made whole the line before.
    methodLimits: Object.fromEntries(full) as Record<string, RouteLimits>,
    ignored: [],
  };
}

describe("RuleBook", () => {
  it("has the server's own for what nobody says anything of", () => {
    const book = new RuleBook([report({})], DEFAULTS);
    assert.deepEqual(book.rulesOf(0, "GET"), PLAIN);
    assert.deepEqual(book.rulesOf(-1, "GET"), PLAIN);
    assert.deepEqual(book.rulesOf(7, "GET"), PLAIN);
  });

  it("takes each limit of the handler, 0 as well, and the others from the server", () => {
    const book = new RuleBook(
      [report({ timeoutMs: 0, sendTimeoutMs: 0, reserved: true })],
      DEFAULTS,
    );
    assert.deepEqual(book.rulesOf(0, "GET"), {
      bodyLimitBytes: 1_000,
      timeoutMs: 0,
      transfer: { bodyTimeoutMs: 50_000, minBodyRateBytesPerSecond: 240, sendTimeoutMs: 0 },
      reserved: true,
    });
  });

  it("knows methods that differ, and none that objects have by nature", () => {
    const book = new RuleBook([report({}, { PUT: { bodyLimitBytes: 9 } })], DEFAULTS);
    assert.equal(book.rulesOf(0, "PUT").bodyLimitBytes, 9);
    for (const method of ["GET", "constructor", "__proto__"]) {
      assert.deepEqual(book.rulesOf(0, method), PLAIN);
    }
  });
});

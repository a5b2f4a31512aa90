import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { RouteLimits, RouteReport } from "../../runtime/channel/messages.ts";
import {
  HANDLER_SETTINGS,
  type RouteSettings,
  toHandlerLimits,
} from "../../runtime/config/handler-settings.ts";
import { settingOf } from "../../runtime/config/settings.ts";
import { RuleBook } from "../../runtime/dispatch/route-rules.ts";

const BUFFERING = {
  bodyBufferBytes: 100,
  bodyOverflow: "stream",
  responseOverflow: "wait",
} as const;

/** The defaults of all settings that a handler may set, some with values that are easy to tell apart. */
const DEFAULTS = {
  ...(Object.fromEntries(
    HANDLER_SETTINGS.map(({ setting, field }) => {
      const { type, default: value } = settingOf(setting);
      return [field, type.parse(value)?.value];
    }),
  ) as RouteSettings), // Has exactly the fields of the table.
  bodyLimitBytes: 1_000,
  requestTimeoutMs: 60_000,
  bodyTimeoutMs: 50_000,
  minBodyRateBytesPerSecond: 240,
  sendTimeoutMs: 40_000,
  ...BUFFERING,
};

const NOTHING: RouteLimits = {
  ...toHandlerLimits({}),
  reserved: null,
  replay: null,
  rateLimit: null,
};

const PLAIN = {
  ...DEFAULTS,
  timeoutSetting: "requestTimeout",
  buffering: BUFFERING,
  transfer: null,
  reserved: false,
  replay: null,
  rateLimit: null,
};

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
    // Each value was set in the line before.
    methodLimits: Object.fromEntries(full) as Record<string, RouteLimits>,
  };
}

describe("RuleBook", () => {
  it("uses the server's settings for routes without their own", () => {
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
      ...PLAIN,
      requestTimeoutMs: 0,
      sendTimeoutMs: 0,
      timeoutSetting: "timeoutMs",
      transfer: { bodyTimeoutMs: 50_000, minBodyRateBytesPerSecond: 240, sendTimeoutMs: 0 },
      reserved: true,
    });
  });

  it("takes the overflow setting of the handler", () => {
    const own = { bodyBufferBytes: 0, overflow: "spool", responseOverflow: "spool" } as const;
    assert.deepEqual(new RuleBook([report(own)], DEFAULTS).rulesOf(0, "GET").buffering, {
      bodyBufferBytes: 0,
      bodyOverflow: "spool",
      responseOverflow: "spool",
    });
  });

  it("knows methods with limits of their own, and no names that all objects have", () => {
    const book = new RuleBook([report({}, { PUT: { bodyLimitBytes: 9 } })], DEFAULTS);
    assert.equal(book.rulesOf(0, "PUT").bodyLimitBytes, 9);
    for (const method of ["GET", "constructor", "__proto__"]) {
      assert.deepEqual(book.rulesOf(0, method), PLAIN);
    }
  });
});

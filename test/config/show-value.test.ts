import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { showValue } from "../../runtime/config/show-value.ts";
import { parseDurationMs, parseSizeBytes } from "../../runtime/config/units.ts";

describe("showValue()", () => {
  it("writes durations and sizes as the config file takes them", () => {
    const amount = fc.oneof(
      fc.nat(),
      fc.nat({ max: 5_000 }).map((count) => count * 60_000),
    );
    fc.assert(
      fc.property(amount, (value) => {
        assert.equal(parseDurationMs(showValue("requestTimeoutMs", value)), value);
        assert.equal(parseSizeBytes(showValue("bodyLimitBytes", value)), value);
      }),
    );
  });

  const cases: [field: string, value: unknown, shown: string][] = [
    ["requestTimeoutMs", 90_000, "90s"],
    ["requestTimeoutMs", 3_600_000, "1h"],
    ["requestTimeoutMs", 0, "0ms"],
    ["bodyLimitBytes", 1024 ** 2, "1mb"],
    ["minBodyRateBytesPerSecond", 240, "240b"],
    ["workers", 4, "4"],
    ["maxRequests", null, "off"],
    ["listing", false, "off"],
    ["cleanUrls", true, "on"],
    ["certsDir", "/srv/certs", "/srv/certs"],
    ["trustedProxies", ["10.0.0.0/8", "::1"], "10.0.0.0/8,::1"],
    ["metricsBucketsMs", [0.5, 2.5, 1_500, 60_000], "0.5ms,2.5ms,1500ms,1m"],
    ["cache", { maxAgeMs: 1 }, '{"maxAgeMs":1}'],
  ];
  for (const [field, value, shown] of cases) {
    it(`writes ${JSON.stringify(value)} of ${field} as ${shown}`, () => {
      assert.equal(showValue(field, value), shown);
    });
  }
});

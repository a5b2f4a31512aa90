import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeDue } from "../../runtime/server/watch-certificates.ts";

const DAY_MS = 24 * 3_600_000;

const CERTIFICATE = {
  certPath: "/certs/a.crt",
  notBeforeMs: 0,
  notAfterMs: 90 * DAY_MS,
  origin: "operator",
} as const;

describe("describeDue()", () => {
  it("warns in the last third of the lifetime, and after it", () => {
    const at = (days: number): string[] => describeDue([CERTIFICATE], days * DAY_MS);
    assert.deepEqual(at(59), []);
    assert.deepEqual(at(61), ["/certs/a.crt expires on 1970-04-01: its renewal is due"]);
    assert.deepEqual(at(91), ["/certs/a.crt expired on 1970-04-01: its renewal is due"]);
    const own = { ...CERTIFICATE, origin: "development" } as const;
    assert.deepEqual(describeDue([own], 91 * DAY_MS), []);
  });
});

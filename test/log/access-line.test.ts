import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { AccessEntry } from "../../runtime/log/access-entry.ts";
import { createPrettyLine } from "../../runtime/log/access-line.ts";

const entry: AccessEntry = {
  clientAddress: "192.0.2.1",
  scheme: "https",
  host: "example.com",
  method: "GET",
  protocol: "HTTP/1.1",
  path: "/hello",
  query: undefined,
  status: 200,
  bytes: 12,
  durationMs: 0.42,
  worker: 1,
  limit: undefined,
  requestId: "01J9",
  referer: undefined,
  userAgent: undefined,
  traceparent: undefined,
  fields: "",
};

// Includes lone surrogates, which a client can cause with broken UTF-8.
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
);
const maybeText = fc.option(fc.option(anyText), { nil: undefined });

const anyEntry: fc.Arbitrary<AccessEntry> = fc.record({
  clientAddress: anyText,
  scheme: fc.constantFrom("http", "https"),
  host: fc.option(anyText),
  method: anyText,
  protocol: fc.constantFrom("HTTP/1.0", "HTTP/1.1", "HTTP/2.0"),
  path: anyText,
  query: maybeText,
  status: fc.integer({ min: 100, max: 599 }),
  bytes: fc.maxSafeNat(),
  durationMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
  worker: fc.option(fc.nat()),
  limit: fc.constantFrom("bodyLimit", "requestTimeout", undefined),
  requestId: anyText,
  referer: maybeText,
  userAgent: maybeText,
  traceparent: fc.constantFrom(
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    undefined,
  ),
  fields: fc.constant(""),
});

describe("createPrettyLine()", () => {
  it("is short", () => {
    const time = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();
    const format = createPrettyLine(false);
    assert.equal(
      format(entry, time),
      "03:04:05.006 200 GET /hello  12 B  0.420 ms  worker 1  192.0.2.1  01J9\n",
    );
    assert.equal(
      format({ ...entry, worker: null, bytes: 20_480 }, time),
      "03:04:05.006 200 GET /hello  20 KiB  0.420 ms  primary  192.0.2.1  01J9\n",
    );
    assert.equal(
      format({ ...entry, limit: "bodyLimit" }, time),
      "03:04:05.006 200 GET /hello  12 B  0.420 ms  worker 1  bodyLimit  192.0.2.1  01J9\n",
    );
  });

  it("names the upstream server", () => {
    const upstream = { name: "http://10.0.0.1:80", attempts: 1, status: 200, durationMs: 0.3 };
    const line = createPrettyLine(false)({ ...entry, worker: null, upstream }, 0);
    assert.match(line, / {2}http:\/\/10\.0\.0\.1:80 {2}192\.0\.2\.1 /);
  });

  it("has the result of the cache", () => {
    const line = createPrettyLine(false)({ ...entry, worker: null, cached: "hit" }, 0);
    assert.match(line, / {2}primary {2}cache hit {2}192\.0\.2\.1 /);
  });

  it("says that the site answered in place of a handler", () => {
    const line = createPrettyLine(false)({ ...entry, worker: 3, passedOn: true }, 0);
    assert.match(line, / {2}worker 3 {2}passed on {2}/);
  });

  it("has the query when it is given", () => {
    assert.match(createPrettyLine(false)({ ...entry, query: "a=1" }, 0), / \/hello\?a=1 {2}/);
  });

  it("passes no control characters to a terminal", () => {
    const format = createPrettyLine(false);
    fc.assert(
      fc.property(anyEntry, (any) => {
        assert.match(format(any, 0), /^[ -~]+\n$/);
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import {
  type AccessEntry,
  type AccessRules,
  type LoggedHead,
  toAccessEntry,
} from "../../runtime/log/access-entry.ts";
import { createRedactor } from "../../runtime/log/redactor.ts";

const head: LoggedHead = {
  clientAddress: "192.0.2.1",
  origin: "https://example.com:8443",
  method: "GET",
  target: "/a?token=1?2",
  fields: "referer\nhttps://example.com/b?token=3#4\nuser-agent\ncurl",
};

const all: AccessRules = { withQuery: true, withClient: true, redactQuery: (query) => query };

/** Returns the entry of an exchange that took 5 ms. */
function entryOf(changes: Partial<LoggedHead>, rules: Partial<AccessRules> = {}): AccessEntry {
  return toAccessEntry(
    {
      // Ids are whole numbers.
      id: 37 as ExchangeId,
      head: { ...head, ...changes },
      receivedMs: 10,
      workerId: 2,
      limitedBy: null,
    },
    { status: 200, bytes: 12, nowMs: 15, timeMs: 0 },
    { rules: { ...all, ...rules }, requestIdPrefix: "a-" },
  );
}

describe("toAccessEntry()", () => {
  it("has all parts of a line", () => {
    assert.deepEqual(entryOf({}), {
      clientAddress: "192.0.2.1",
      scheme: "https",
      host: "example.com:8443",
      method: "GET",
      protocol: "HTTP/1.1",
      path: "/a",
      query: "token=1?2",
      status: 200,
      bytes: 12,
      durationMs: 5,
      worker: 2,
      limit: undefined,
      upstream: undefined,
      cached: undefined,
      passedOn: undefined,
      requestId: "a-11",
      referer: "https://example.com/b?token=3#4",
      userAgent: "curl",
      traceparent: undefined,
      fields: head.fields,
    });
  });

  it("has no host and no fields of a head that could not be parsed", () => {
    const { scheme, host, referer, userAgent, fields } = entryOf({ origin: "http:", fields: null });
    assert.deepEqual([scheme, host, fields], ["http", null, ""]);
    assert.deepEqual([referer, userAgent], [undefined, undefined]);
  });

  it("has the request id that a trusted proxy gave, and a valid traceparent", () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const given = entryOf({ requestId: "given", fields: `traceparent\n${traceparent}` });
    assert.deepEqual([given.requestId, given.traceparent], ["given", traceparent]);
    assert.equal(entryOf({ fields: "traceparent\n00-0" }).traceparent, undefined);
  });

  it("leaves the query out, also of the referer", () => {
    const { path, query, referer } = entryOf({}, { withQuery: false });
    assert.deepEqual([path, query, referer], ["/a", undefined, "https://example.com/b"]);
  });

  it("has null for a query that is missing", () => {
    assert.equal(entryOf({ target: "/a" }).query, null);
    assert.equal(entryOf({ target: "/a?" }).query, "");
  });

  it("hides secret parameters, also in the referer's query and fragment", () => {
    const { query, referer } = entryOf(
      {
        target: "/a?access_token=SECRET&page=2",
        fields: "referer\nhttps://a.example/?key=SECRET&b=1#id_token=SECRET&state=3",
      },
      { redactQuery: createRedactor().query },
    );
    assert.equal(query, "access_token=[redacted]&page=2");
    assert.equal(referer, "https://a.example/?key=[redacted]&b=1#id_token=[redacted]&state=3");
  });

  it("leaves out the client's program unless it is configured", () => {
    const { referer, userAgent } = entryOf({}, { withClient: false });
    assert.deepEqual([referer, userAgent], [undefined, undefined]);
  });

  it("has null for missing fields, and reads fields as UTF-8", () => {
    const bytes = Buffer.from("é€", "utf8").toString("latin1");
    const { referer, userAgent } = entryOf({ fields: `user-agent\n${bytes}` });
    assert.deepEqual([referer, userAgent], [null, "é€"]);
  });
});

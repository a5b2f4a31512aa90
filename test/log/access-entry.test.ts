import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createRedactor } from "../../runtime/log/redactor.ts";
import { type AccessFacts, toAccessEntry } from "../../runtime/log/access-entry.ts";

const facts: AccessFacts = {
  clientAddress: "192.0.2.1",
  scheme: "https",
  host: "example.com",
  method: "GET",
  target: "/a?token=1?2",
  status: 200,
  bytes: 12,
  durationMs: 0.42,
  worker: 1,
  limit: null,
  requestId: "01J9",
  referer: "https://example.com/b?token=3#4",
  userAgent: "curl",
  traceparent: undefined,
  fields: "",
};

const keep = (query: string): string => query;

describe("toAccessEntry()", () => {
  it("leaves the query out, also of the referer", () => {
    const entry = toAccessEntry(facts, { withQuery: false, withClient: true, redactQuery: keep });
    assert.equal(entry.path, "/a");
    assert.equal(entry.query, undefined);
    assert.equal(entry.referer, "https://example.com/b");
    assert.equal(entry.userAgent, "curl");
  });

  it("has the query apart where it is configured, null when there is none", () => {
    const rules = { withQuery: true, withClient: true, redactQuery: keep };
    const entry = toAccessEntry(facts, rules);
    assert.deepEqual([entry.path, entry.query], ["/a", "token=1?2"]);
    assert.equal(entry.referer, facts.referer);
    assert.equal(toAccessEntry({ ...facts, target: "/a" }, rules).query, null);
    assert.equal(toAccessEntry({ ...facts, target: "/a?" }, rules).query, "");
  });

  it("hides secret parameters, also in the referer's query and fragment", () => {
    const { query: redactQuery } = createRedactor();
    const entry = toAccessEntry(
      {
        ...facts,
        target: "/a?access_token=SECRET&page=2",
        referer: "https://a.example/?key=SECRET&b=1#id_token=SECRET&state=3",
      },
      { withQuery: true, withClient: true, redactQuery },
    );
    assert.equal(entry.query, "access_token=[redacted]&page=2");
    assert.equal(
      entry.referer,
      "https://a.example/?key=[redacted]&b=1#id_token=[redacted]&state=3",
    );
  });

  it("leaves out the client's program unless it is configured", () => {
    const entry = toAccessEntry(facts, { withQuery: true, withClient: false, redactQuery: keep });
    assert.deepEqual([entry.referer, entry.userAgent], [undefined, undefined]);
  });

  it("has null for missing fields, and reads fields as UTF-8", () => {
    const userAgent = Buffer.from("é€", "utf8").toString("latin1");
    const rules = { withQuery: false, withClient: true, redactQuery: keep };
    const entry = toAccessEntry({ ...facts, referer: undefined, userAgent }, rules);
    assert.deepEqual([entry.referer, entry.userAgent], [null, "é€"]);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
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
};

describe("toAccessEntry()", () => {
  it("leaves the query out, also of the referer", () => {
    const entry = toAccessEntry(facts, { withQuery: false, withClient: true });
    assert.equal(entry.path, "/a");
    assert.equal(entry.query, undefined);
    assert.equal(entry.referer, "https://example.com/b");
    assert.equal(entry.userAgent, "curl");
  });

  it("has the query apart where it is configured, null when there is none", () => {
    const rules = { withQuery: true, withClient: true };
    const entry = toAccessEntry(facts, rules);
    assert.deepEqual([entry.path, entry.query], ["/a", "token=1?2"]);
    assert.equal(entry.referer, facts.referer);
    assert.equal(toAccessEntry({ ...facts, target: "/a" }, rules).query, null);
    assert.equal(toAccessEntry({ ...facts, target: "/a?" }, rules).query, "");
  });

  it("leaves out the client's program unless it is configured", () => {
    const entry = toAccessEntry(facts, { withQuery: true, withClient: false });
    assert.deepEqual([entry.referer, entry.userAgent], [undefined, undefined]);
  });

  it("has null for missing fields, and reads fields as UTF-8", () => {
    const userAgent = Buffer.from("é€", "utf8").toString("latin1");
    const rules = { withQuery: false, withClient: true };
    const entry = toAccessEntry({ ...facts, referer: undefined, userAgent }, rules);
    assert.deepEqual([entry.referer, entry.userAgent], [null, "é€"]);
  });
});

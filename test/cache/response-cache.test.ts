import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findField } from "../../runtime/http/find-field.ts";
import { FakeClient } from "../dispatch/fake-client.ts";
import { answerOf, type Call, FedSource, ON, Origin } from "./origin.ts";

const CACHED = "content-type\ntext/plain\ncache-control\npublic, max-age=60";
const PRIVATE = "cache-control\nprivate";

describe("ResponseCache: many visitors of one URL", () => {
  it("makes one call for a thousand misses, and answers all of them", () => {
    const origin = new Origin();
    const clients = origin.visits(1_000);
    assert.equal(origin.calls.length, 1);
    origin.call.reply(CACHED);
    for (const client of clients) assert.equal(answerOf(client).body, "body");
    const [first, second] = clients.map((client) =>
      findField(answerOf(client).fields, "cache-status"),
    );
    assert.equal(first, "Edgicorn; fwd=miss; stored");
    assert.equal(second, "Edgicorn; fwd=miss; stored; collapsed");
    origin.visit();
    assert.equal(origin.calls.length, 1);
  });

  it("gives a body that is still coming to all, also to those who come later", () => {
    const origin = new Origin();
    const [first] = origin.visits(2);
    const source = new FedSource();
    origin.call.reply(CACHED, source);
    source.push(Buffer.from("one "));
    const late = origin.visit();
    source.push(Buffer.from("two"));
    assert.equal(origin.calls.length, 1);
    assert.equal(String(late.streamed.taken), "one two");
    assert.equal(late.streamed.end, "open");
    source.end();
    for (const client of [first, late]) {
      assert.equal(client?.streamed.end, "complete");
      assert.equal(String(client.streamed.taken), "one two");
    }
    assert.equal(answerOf(origin.visit()).body, "one two");
    assert.equal(origin.calls.length, 1);
  });

  it("lets all ask for themselves at once when the answer is for one visitor", () => {
    const origin = new Origin();
    const clients = origin.visits(50);
    origin.call.reply(PRIVATE, "of the first");
    assert.equal(origin.calls.length, 50);
    const [first, ...others] = clients;
    assert.equal(answerOf(first ?? assert.fail()).body, "of the first");
    for (const client of others) assert.equal(client.settled, false);
    origin.calls.slice(1).forEach((call, index) => call.reply(PRIVATE, `of ${index}`));
    others.forEach((client, index) => assert.equal(answerOf(client).body, `of ${index}`));
    // From now on no visitor waits for another.
    origin.visits(3);
    assert.equal(origin.calls.length, 53);
  });

  it("notices that an answer is for all again", () => {
    const origin = new Origin();
    origin.visit();
    origin.call.reply(PRIVATE);
    origin.visit();
    origin.call.reply(CACHED);
    origin.visit();
    assert.equal(origin.calls.length, 2);
  });

  it("gives the status of a failure to all that wait, without its body", () => {
    const origin = new Origin();
    const clients = origin.visits(1_000);
    origin.call.reply("retry-after\n7\nset-cookie\nsession=1", "secret of the first", 503);
    assert.equal(origin.calls.length, 1);
    const [first, ...others] = clients.map((client) => answerOf(client));
    assert.equal(first?.body, "secret of the first");
    for (const { status, body, fields } of others) {
      assert.equal(status, 503);
      assert.ok(!body.includes("secret"));
      assert.equal(findField(fields, "set-cookie"), undefined);
      assert.equal(findField(fields, "retry-after"), "7");
    }
  });

  it("says 502 when the responder says 304 to a request without conditions", () => {
    const origin = new Origin();
    const clients = origin.visits(3);
    origin.call.reply("cache-control\nmax-age=60", null, 304);
    assert.deepEqual(
      clients.map((client) => answerOf(client).status),
      [502, 502, 502],
    );
    origin.visit();
    assert.equal(origin.calls.length, 2);
  });

  it("goes on when the visitor leaves whose request is fetched", () => {
    const origin = new Origin();
    const [first, second] = origin.visits(2);
    first?.leave();
    assert.equal(origin.call.hasLeft, false);
    origin.call.reply(CACHED);
    assert.equal(answerOf(second ?? assert.fail()).body, "body");
  });

  it("ends the call when all have left", () => {
    const origin = new Origin();
    for (const client of origin.visits(3)) client.leave();
    assert.equal(origin.call.hasLeft, true);
    origin.visit();
    assert.equal(origin.calls.length, 2);
  });

  it("never gives an answer for one visitor to others when that visitor has left", () => {
    const origin = new Origin();
    const [first, second] = origin.visits(2);
    first?.leave();
    origin.call.reply(PRIVATE, "of the first");
    assert.equal(origin.calls.length, 2);
    origin.call.reply(PRIVATE, "of the second");
    assert.equal(answerOf(second ?? assert.fail()).body, "of the second");
  });

  it("asks once more for all that have waited for too long, not once for each", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const origin = new Origin();
    origin.cache.waitMs = 5_000;
    const clients = origin.visits(1_000);
    t.mock.timers.tick(5_000);
    assert.equal(origin.calls.length, 2);
    t.mock.timers.tick(5_000);
    assert.equal(origin.calls.length, 3);
    // Whichever answer comes first is for all that wait.
    origin.calls[1]?.reply(CACHED);
    const waiting = clients.filter((client) => !client.settled);
    assert.equal(waiting.length, 2);
    for (const call of [origin.calls[0], origin.calls[2]]) call?.reply(CACHED);
    for (const client of clients) assert.equal(answerOf(client).body, "body");
  });

  it("keeps visitors waiting for a second call when the first fails", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const origin = new Origin();
    const clients = origin.visits(3);
    t.mock.timers.tick(origin.cache.waitMs);
    origin.calls[0]?.reply("", "", 504);
    assert.deepEqual(
      clients.map(({ settled }) => settled),
      [true, false, false],
    );
    origin.calls[1]?.reply(CACHED);
    for (const client of clients.slice(1)) assert.equal(answerOf(client).status, 200);
  });
});

describe("ResponseCache: bodies on their way", () => {
  it("breaks for all and stores nothing when the responder breaks off", () => {
    const origin = new Origin();
    const clients = origin.visits(2);
    const source = new FedSource();
    origin.call.reply(CACHED, source);
    source.push(Buffer.from("half"));
    source.fail();
    for (const client of clients) assert.equal(client.streamed.end, "broken");
    assert.deepEqual(origin.store.entries, []);
    origin.visit();
    assert.equal(origin.calls.length, 2);
  });

  it("lets slow readers hold no fast one, and gives them all bytes", () => {
    const origin = new Origin();
    const [fast, slow] = origin.visits(2);
    const source = new FedSource();
    origin.call.reply(CACHED, source);
    slow?.streamed.stall();
    const piece = Buffer.alloc(64 * 1024, "x");
    for (let at = 0; at < 64; at++) source.push(piece);
    source.end();
    assert.equal(fast?.streamed.end, "complete");
    assert.equal(fast.streamed.taken.length, 4 * 1024 * 1024);
    for (let at = 0; at < 1_000 && slow?.streamed.end === "open"; at++) slow.streamed.read(7_000);
    assert.equal(slow?.streamed.end, "complete");
    assert.deepEqual(slow.streamed.taken, fast.streamed.taken);
  });

  it("breaks off a reader whose bytes are lost, when the store gives up", () => {
    const origin = new Origin();
    origin.store.mostBytes = 3 * 1024 * 1024;
    const [fast, slow] = origin.visits(2);
    const source = new FedSource();
    origin.call.reply(CACHED, source);
    slow?.streamed.stall();
    const piece = Buffer.alloc(64 * 1024, "x");
    for (let at = 0; at < 64; at++) source.push(piece);
    source.end();
    assert.equal(fast?.streamed.end, "complete");
    slow?.streamed.read();
    assert.equal(slow?.streamed.end, "broken");
    assert.deepEqual(origin.store.entries, []);
  });

  it("passes an answer that is too large on to its visitor, and stores no part of it", () => {
    const origin = new Origin();
    origin.store.mostBytes = 100;
    const [first] = origin.visits(2);
    const source = new FedSource();
    origin.call.reply(`${CACHED}\ncontent-length\n1000`, source);
    source.push(Buffer.alloc(1_000));
    source.end();
    assert.equal(first?.streamed.taken.length, 1_000);
    assert.equal(origin.calls.length, 2);
  });

  it("reads no more of the responder than the fastest visitor takes", () => {
    const origin = new Origin();
    const [client] = origin.visits(1);
    const source = new FedSource();
    origin.call.reply(CACHED, source);
    client?.streamed.stall();
    for (let at = 0; at < 64; at++) source.push(Buffer.alloc(64 * 1024));
    assert.ok(source.readBytes <= 1024 * 1024 + 64 * 1024, `${source.readBytes} bytes`);
  });

  it("ends a large body that no visitor reads, and finishes a small one", () => {
    for (const [length, isFinished] of [
      [1_000, true],
      [2 * 1024 * 1024, false],
    ] as const) {
      const origin = new Origin();
      const client = origin.visit();
      const source = new FedSource();
      origin.call.reply(`${CACHED}\ncontent-length\n${length}`, source);
      source.push(Buffer.alloc(500));
      client.leave();
      assert.equal(source.isCancelled, !isFinished, `${length} bytes`);
      source.push(Buffer.alloc(length - 500));
      source.end();
      assert.equal(origin.store.entries.length, isFinished ? 1 : 0);
    }
  });
});

describe("ResponseCache: requests and entries", () => {
  it("fetches the whole for a request of a part, and slices it", () => {
    const origin = new Origin();
    const part = origin.visit("/", { fieldBlock: "range\nbytes=1-2" });
    assert.equal(findField(origin.call.client.head.fields, "range"), undefined);
    origin.call.reply(CACHED, "0123");
    assert.equal(answerOf(part).status, 206);
    assert.equal(answerOf(part).body, "12");
    assert.equal(answerOf(origin.visit()).body, "0123");
    assert.equal(origin.calls.length, 1);
  });

  it("lets a request of a part ask for itself when the answer is not for all", () => {
    const origin = new Origin();
    const part = origin.visit("/", { fieldBlock: "range\nbytes=1-2" });
    origin.call.reply(PRIVATE, "0123");
    assert.equal(origin.calls.length, 2);
    assert.equal(findField(origin.call.client.head.fields, "range"), "bytes=1-2");
    origin.call.reply("content-range\nbytes 1-2/4", "12", 206);
    assert.equal(answerOf(part).body, "12");
  });

  it("answers HEAD from GET, and stores the whole for it", () => {
    const origin = new Origin();
    const head = origin.visit("/", { method: "HEAD" });
    assert.equal(origin.call.client.head.method, "GET");
    origin.call.reply(CACHED, "0123");
    const [outcome] = head.outcomes;
    assert.ok(outcome?.kind === "answered");
    assert.equal(outcome.response.body, null);
    assert.equal(outcome.response.lengthBytes, 4);
    assert.equal(answerOf(origin.visit()).body, "0123");
  });

  it("says 304 to a client that has the entry, also while it is fetched", () => {
    const origin = new Origin();
    const fields = 'if-none-match\n"a"';
    const first = origin.visit("/", { fieldBlock: fields });
    origin.call.reply(`${CACHED}\netag\n"a"`);
    for (const client of [first, origin.visit("/", { fieldBlock: fields })]) {
      assert.equal(answerOf(client).status, 304);
      assert.equal(findField(answerOf(client).fields, "content-type"), undefined);
    }
    assert.equal(answerOf(origin.visit()).status, 200);
  });

  it("refreshes a stale entry with a 304, and serves it", () => {
    const origin = new Origin();
    origin.visit();
    origin.call.reply(`${CACHED}\netag\n"a"`);
    origin.nowMs += 61_000;
    const [one, two] = origin.visits(2);
    assert.equal(origin.calls.length, 2);
    assert.equal(findField(origin.call.client.head.fields, "if-none-match"), '"a"');
    origin.call.reply("cache-control\npublic, max-age=60\nx-new\n1", null, 304);
    for (const client of [one, two]) {
      const { status, body, fields } = answerOf(client ?? assert.fail());
      assert.deepEqual([status, body, findField(fields, "x-new")], [200, "body", "1"]);
    }
    origin.visit();
    assert.equal(origin.calls.length, 2);
  });

  it("serves stale and refreshes in the background, once", () => {
    const origin = new Origin();
    origin.visit();
    origin.call.reply("cache-control\npublic, max-age=60, stale-while-revalidate=60", "old");
    origin.nowMs += 61_000;
    for (const client of origin.visits(10)) assert.equal(answerOf(client).body, "old");
    assert.equal(origin.calls.length, 2);
    origin.call.reply(CACHED, "new");
    assert.equal(answerOf(origin.visit()).body, "new");
  });

  it("keeps a good copy through an outage, where stale answers are allowed", () => {
    for (const [rest, expected] of [
      [", stale-if-error=600", 200],
      [", must-revalidate, stale-if-error=600", 503],
      ["", 503],
    ] as const) {
      const origin = new Origin();
      origin.visit();
      origin.call.reply(`cache-control\npublic, max-age=60${rest}\netag\n"a"`);
      origin.nowMs += 61_000;
      const [one, two] = origin.visits(2);
      origin.call.reply("", "down", 503);
      for (const client of [one, two])
        assert.equal(answerOf(client ?? assert.fail()).status, expected, rest);
      origin.visit();
      origin.call.reply("cache-control\npublic, max-age=60", null, 304);
      assert.equal(answerOf(origin.visit()).body, "body", "the copy is still there");
    }
  });

  it("keeps variants by accepted codings apart, and asks in the canonical form", () => {
    const origin = new Origin();
    const fields = `${CACHED}\nvary\naccept-encoding`;
    origin.visit("/", { fieldBlock: "accept-encoding\ngzip;q=0.5, br" });
    assert.equal(findField(origin.call.client.head.fields, "accept-encoding"), "br, gzip");
    origin.call.reply(fields, "br");
    assert.equal(
      answerOf(origin.visit("/", { fieldBlock: "accept-encoding\nbr,gzip" })).body,
      "br",
    );
    origin.visit("/", { fieldBlock: "accept-encoding\nidentity" });
    origin.call.reply(fields, "plain");
    assert.equal(origin.calls.length, 2);
    origin.visit("/", { fieldBlock: "accept-encoding\nidentity" });
    assert.equal(origin.calls.length, 2);
  });

  it("gives visitors who wait their own variant", () => {
    const origin = new Origin();
    const clients = ["de", "fr", "fr"].map((lang) =>
      origin.visit("/", { fieldBlock: `x-lang\n${lang}` }),
    );
    origin.call.reply(`${CACHED}\nvary\nx-lang`, "de");
    assert.equal(origin.calls.length, 2);
    origin.call.reply(`${CACHED}\nvary\nx-lang`, "fr");
    assert.deepEqual(
      clients.map((client) => answerOf(client).body),
      ["de", "fr", "fr"],
    );
  });

  it("passes by what may not come from a store, and tells why", () => {
    const origin = new Origin();
    for (const options of [
      { method: "POST" },
      { method: "OPTIONS" },
      { bodyBytes: 3 },
      { fieldBlock: 'if-match\n"a"' },
    ]) {
      const client = origin.visit("/", options);
      assert.equal(origin.call.client, client);
      assert.equal(client.filters?.length !== 0, true);
    }
  });

  it("forgets an answer when an unsafe request to its URL succeeds", () => {
    const origin = new Origin();
    origin.visit("/a");
    origin.call.reply(CACHED);
    for (const [status, calls] of [
      [500, 2],
      [204, 3],
    ] as const) {
      const client = origin.visit("/a", { method: "POST" });
      for (const filter of client.filters ?? [])
        filter({ status, statusText: "", fields: "", body: null, lengthBytes: null }, client);
      origin.visit("/a");
      assert.equal(origin.calls.length, status === 500 ? calls : calls + 1);
      if (status === 204) origin.call.reply(CACHED);
    }
  });

  it("stores an answer that was under way during a purge of another site", () => {
    const origin = new Origin();
    origin.visit("/a");
    origin.cache.purge({ kind: "all", within: () => false });
    origin.call.reply(CACHED, "kept");
    assert.equal(answerOf(origin.visit("/a")).body, "kept");
    assert.equal(origin.calls.length, 1);
  });

  it("refuses a site the URLs of another one", async () => {
    const { cache } = new Origin();
    const site = {
      name: "one.example",
      hasOrigin: (origin: string) => origin === "https://one.example:8443",
    };
    for (const text of ["https://two.example/", "https://one.example/a*"]) {
      await assert.rejects(cache.purgeNamed(text, site), {
        code: "ERR_CONFIG",
        message: `Cannot purge: found "${text}", expected a host of the site one.example`,
      });
    }
    for (const text of ["https://one.example:8443/*", "tag:news", "all"]) {
      assert.equal(await cache.purgeNamed(text, site), 0, text);
    }
    await assert.rejects(cache.purgeNamed("news".repeat(1_000), site), /expected a URL/);
  });

  it("does not store an answer that a visitor fetched alone during a purge", () => {
    const origin = new Origin();
    origin.visit("/a");
    origin.call.reply(PRIVATE);
    const early = origin.visit("/a");
    origin.cache.purge({ kind: "url", url: "http://localhost/a" });
    origin.call.reply(CACHED, "old");
    assert.equal(answerOf(early).body, "old");
    origin.visit("/a");
    assert.equal(origin.calls.length, 3);
  });

  it("does not store an answer that was under way during a purge", () => {
    const origin = new Origin();
    const early = origin.visit("/a");
    const call = origin.call;
    origin.cache.purge({ kind: "url", url: "http://localhost/a" });
    const late = origin.visit("/a");
    assert.equal(origin.calls.length, 2, "a new request does not wait for the older answer");
    call.reply(CACHED, "old");
    assert.equal(answerOf(early).body, "old");
    origin.call.reply(CACHED, "new");
    assert.equal(answerOf(late).body, "new");
    assert.equal(answerOf(origin.visit("/a")).body, "new");
  });

  it("fills in a time only where the answer is silent, and not for personal requests", () => {
    const origin = new Origin({ maxAgeMs: 60_000 });
    origin.visit("/silent");
    origin.call.reply("");
    origin.visit("/silent");
    assert.equal(origin.calls.length, 1);
    for (const fields of ["cookie\nsession=1", "authorization\nBasic eA=="]) {
      origin.visit("/silent", { fieldBlock: fields });
      origin.call.reply("", "personal");
      origin.visit("/silent", { fieldBlock: fields });
      origin.call.reply("", "personal");
    }
    assert.equal(origin.calls.length, 5);
    assert.equal(answerOf(origin.visit("/silent")).body, "body");
    origin.visit("/own");
    origin.call.reply("cache-control\nmax-age=1");
    origin.nowMs += 2_000;
    origin.visit("/own");
    assert.equal(origin.calls.length, 7);
  });

  it("takes a request for personal when a rule knows its user", () => {
    const origin = new Origin({ maxAgeMs: 60_000 });
    for (let visit = 1; visit <= 2; visit++) {
      origin.visitAs("/silent");
      origin.call.reply("", "personal");
      assert.equal(origin.calls.length, visit);
    }
    const client = origin.visit("/silent");
    origin.call.reply("");
    assert.equal(answerOf(client).body, "body");
  });

  it("hides parameters that do not count from the responder", () => {
    const origin = new Origin({ query: ["page"] });
    origin.visit("/list?utm_source=x&page=2");
    assert.equal(origin.call.target.search, "?page=2");
    assert.equal(origin.call.client.head.target, "/list?page=2");
    origin.call.reply(CACHED);
    origin.visit("/list?page=2&utm_source=y");
    assert.equal(origin.calls.length, 1);
  });

  it("does not use answers of other code", () => {
    const origin = new Origin({}, "code:1");
    origin.visit();
    origin.call.reply(CACHED, "old");
    const next = origin.cache.around(origin, {
      policy: { maxAgeMs: null, staleMs: null, query: null, ignoreQuery: [], cookies: [] },
      version: "code:2",
    });
    const again = origin.visit();
    assert.equal(answerOf(again).body, "old");
    const calls = origin.calls.length;
    next.answer(again, { ok: true, pathname: "/", search: "", path: null, params: null });
    assert.equal(origin.calls.length, calls + 1);
  });

  it("does not wait for an answer of other code", () => {
    const origin = new Origin({}, "code:1");
    const early = origin.visit();
    const next = origin.cache.around(origin, { policy: ON, version: "code:2" });
    const late = new FakeClient(1, { target: "/" });
    next.answer(late, { ok: true, pathname: "/", search: "", path: null, params: null });
    assert.equal(origin.calls.length, 2);
    for (const [at, call] of origin.calls.entries()) call.reply(CACHED, `code ${at + 1}`);
    assert.deepEqual([answerOf(early).body, answerOf(late).body], ["code 1", "code 2"]);
  });
});

/** Answers as another part of the site after `passThroughOnException()`. */
function standInFor(call: Call, ...reply: Parameters<Call["reply"]>): void {
  call.client.passedOn = true;
  call.reply(...reply);
}

/** Stores an answer, and lets it become stale. */
function withStaleEntry(rest = ""): Origin {
  const origin = new Origin();
  origin.visit();
  origin.call.reply(`${CACHED}${rest}\netag\n"a"`);
  origin.nowMs += 61_000;
  return origin;
}

describe("ResponseCache: answers in place of a handler that failed", () => {
  it("are for one visitor: all others ask, and none waits from then on", () => {
    const origin = new Origin();
    const [first, ...others] = origin.visits(20);
    standInFor(origin.call, CACHED, "of the first");
    const { body, fields } = answerOf(first ?? assert.fail());
    assert.equal(body, "of the first");
    assert.equal(findField(fields, "cache-status"), "Edgicorn; fwd=miss; detail=passed-on");
    assert.equal(origin.calls.length, 20);
    for (const call of origin.calls.slice(1)) standInFor(call, CACHED, "of each");
    for (const client of others) assert.equal(answerOf(client).body, "of each");
    assert.deepEqual(origin.store.entries, []);
    origin.visits(3);
    assert.equal(origin.calls.length, 23);
    origin.call.reply(CACHED, "of the handler");
    assert.equal(answerOf(origin.visit()).body, "of the handler");
  });

  it("confirm no answer of the handler with a 304", () => {
    const origin = withStaleEntry();
    const [first, second] = origin.visits(2);
    assert.equal(findField(origin.call.client.head.fields, "if-none-match"), '"a"');
    standInFor(origin.call, `${CACHED}\netag\n"a"`, null, 304);
    assert.equal(origin.calls.length, 4);
    for (const [at, client] of [first, second].entries()) {
      const call = origin.calls[at + 2] ?? assert.fail();
      assert.equal(call.client, client);
      assert.equal(findField(call.client.head.fields, "if-none-match"), undefined);
      assert.notEqual(client?.passedOn, true, "this time the handler may answer");
      standInFor(call, CACHED, "whole");
      assert.equal(answerOf(client ?? assert.fail()).body, "whole");
    }
    // The entry is there, and still stale.
    const last = origin.visit();
    assert.equal(findField(origin.call.client.head.fields, "if-none-match"), '"a"');
    origin.call.reply("cache-control\npublic, max-age=60", null, 304);
    assert.equal(answerOf(last).body, "body");
    assert.equal(answerOf(origin.visit()).body, "body");
    assert.equal(origin.calls.length, 5);
  });

  it("leave a stale entry alone, for which no visitor waits from then on", () => {
    const origin = withStaleEntry();
    const client = origin.visit();
    standInFor(origin.call, PRIVATE, "other");
    assert.equal(answerOf(client).body, "other");
    const waiting = origin.visits(3);
    assert.equal(origin.calls.length, 5);
    origin.call.reply("cache-control\npublic, max-age=60", null, 304);
    assert.equal(answerOf(waiting[2] ?? assert.fail()).body, "body");
    assert.equal(answerOf(origin.visit()).body, "body");
    assert.equal(origin.calls.length, 5);
  });

  it("are dropped in the background", () => {
    for (const status of [200, 304]) {
      const origin = withStaleEntry(", stale-while-revalidate=600");
      for (const calls of [2, 3]) {
        assert.equal(answerOf(origin.visit()).body, "body");
        assert.equal(origin.calls.length, calls);
        standInFor(origin.call, CACHED, status === 200 ? "new" : null, status);
      }
    }
  });

  it("are failures from 500 on, as those of the handler", () => {
    const origin = withStaleEntry();
    const [first, second] = origin.visits(2);
    standInFor(origin.call, "", "down", 502);
    for (const client of [first, second]) {
      assert.equal(answerOf(client ?? assert.fail()).status, 502);
    }
    assert.equal(origin.calls.length, 2);
    const kept = withStaleEntry(", stale-if-error=600");
    const visitor = kept.visit();
    standInFor(kept.call, "", "down", 502);
    assert.deepEqual([answerOf(visitor).status, answerOf(visitor).body], [200, "body"]);
  });

  it("are 502 where a stand-in says 304 to a request without conditions", () => {
    const origin = new Origin();
    const clients = origin.visits(2);
    standInFor(origin.call, CACHED, null, 304);
    for (const client of clients) assert.equal(answerOf(client).status, 502);
  });
});

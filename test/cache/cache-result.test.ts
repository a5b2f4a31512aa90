import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { toCacheResult } from "../../runtime/cache/cache-status.ts";
import type { CacheResult } from "../../runtime/http/cache-result.ts";
import type { FakeClient } from "../dispatch/fake-client.ts";
import { Origin } from "./origin.ts";

const CACHED = "cache-control\npublic, max-age=60";

function resultsOf(clients: readonly FakeClient[]): (CacheResult | null)[] {
  return clients.map(({ cached }) => cached);
}

describe("the result of the cache for the access log", () => {
  it("tells a miss, requests that waited for it, and hits", () => {
    const origin = new Origin();
    const clients = origin.visits(2);
    assert.deepEqual(resultsOf(clients), [null, null]);
    origin.call.reply(CACHED);
    clients.push(origin.visit(), origin.visit("/", { method: "HEAD" }));
    assert.deepEqual(resultsOf(clients), ["miss", "collapsed", "hit", "hit"]);
  });

  it("is a miss for each answer that is for one visitor only", () => {
    const origin = new Origin();
    const clients = origin.visits(2);
    origin.call.reply("cache-control\nprivate");
    origin.call.reply("cache-control\nprivate");
    assert.deepEqual(resultsOf(clients), ["miss", "miss"]);
  });

  it("is stale for an answer that is refreshed in the background, then a hit", () => {
    const origin = new Origin();
    origin.visit();
    origin.call.reply(`${CACHED}, stale-while-revalidate=60`);
    origin.nowMs += 60_000;
    const stale = origin.visit();
    origin.call.reply(CACHED, "new");
    assert.deepEqual(resultsOf([stale, origin.visit()]), ["stale", "hit"]);
  });

  it("tells confirmed answers from replaced ones", () => {
    const origin = new Origin();
    origin.visit();
    origin.call.reply(`${CACHED}\netag\n"a"`);
    origin.nowMs += 61_000;
    const confirmed = origin.visit();
    origin.call.reply(CACHED, null, 304);
    origin.nowMs += 61_000;
    const replaced = origin.visit();
    origin.call.reply(CACHED, "new");
    assert.deepEqual(resultsOf([confirmed, replaced]), ["revalidated", "expired"]);
  });

  it("is stale where a stored answer stands for a failure, and not for the failure itself", () => {
    for (const [rest, expected] of [
      [", stale-if-error=60", ["stale", "stale"]],
      ["", ["expired", "collapsed"]],
    ] as const) {
      const origin = new Origin();
      origin.visit();
      origin.call.reply(CACHED + rest);
      origin.nowMs += 61_000;
      const clients = origin.visits(2);
      origin.call.reply("", "down", 503);
      assert.deepEqual(resultsOf(clients), expected);
    }
  });

  it("is bypass for requests that are not for the cache", () => {
    const origin = new Origin();
    const clients = [origin.visit("/", { method: "POST" })];
    clients.push(origin.visit("/", { fieldBlock: 'if-match\n"a"' }));
    assert.deepEqual(resultsOf(clients), ["bypass", "bypass"]);
  });

  it("names the upstream server of a miss, and none for a hit", () => {
    const origin = new Origin();
    const miss = origin.visit();
    const upstream = { name: "http://10.0.0.1:80", attempts: 1, status: 200, durationMs: 1 };
    origin.call.client.upstream = upstream;
    origin.call.reply(CACHED);
    assert.deepEqual([miss.upstream, origin.visit().upstream], [upstream, null]);
  });
});

describe("toCacheResult()", () => {
  it("tells fresh stored answers from stale ones", () => {
    assert.equal(toCacheResult({ kind: "hit", ttlSeconds: 0 }), "hit");
    assert.equal(toCacheResult({ kind: "hit", ttlSeconds: -1 }), "stale");
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BODY_FOLLOWS } from "../../runtime/channel/messages.ts";
import { Exchange } from "../../runtime/dispatch/exchange.ts";
import { fingerprintOf, Quarantine } from "../../runtime/recovery/quarantine.ts";
import { FakeClient } from "../dispatch/fake-client.ts";

const BUFFERING = { bodyBufferBytes: 0, bodyOverflow: "stream", responseOverflow: "wait" } as const;
const TO = {
  route: 0,
  params: null,
  timeoutMs: 0,
  timeoutSetting: "requestTimeout",
  buffering: BUFFERING,
  reserved: false,
  intake: null,
} as const;

let lastId = 0;

function request(url: string, options: { method?: string; body?: string | true } = {}): Exchange {
  const client = new FakeClient(++lastId, { method: options.method ?? "GET" });
  const exchange = new Exchange(client, { ...TO, url });
  if (options.body === true) exchange.body = BODY_FOLLOWS;
  else if (options.body !== undefined) exchange.body = Buffer.from(options.body);
  return exchange;
}

describe("Quarantine", () => {
  it("recognises a request by its method, its URL and its body", () => {
    const quarantine = new Quarantine({ durationMs: 100 });
    quarantine.mark(request("http://a/x", { method: "PUT", body: "one" }), 0);
    const table: [exchange: Exchange, kind: string][] = [
      [request("http://a/x", { method: "PUT", body: "one" }), "suspect"],
      [request("http://a/x", { method: "PUT", body: "two" }), "unknown"],
      [request("http://a/x", { method: "PUT" }), "unknown"],
      [request("http://a/x", { method: "POST", body: "one" }), "unknown"],
      [request("http://a/y", { method: "PUT", body: "one" }), "unknown"],
      [request("http://a/x", { method: "PUT", body: true }), "unknown"],
    ];
    for (const [exchange, kind] of table) assert.equal(quarantine.lookUp(exchange, 0).kind, kind);
    const empty = request("http://a/z", { body: "" });
    quarantine.mark(request("http://a/z"), 0);
    assert.equal(quarantine.lookUp(empty, 0).kind, "suspect");
  });

  it("does not remember requests that it would mistake for others", () => {
    const quarantine = new Quarantine({ durationMs: 100 });
    quarantine.mark(request("http://a/x", { method: "POST", body: true }), 0);
    quarantine.mark(request("http://a/x", { method: "POST", body: "x".repeat(2 ** 21) }), 0);
    assert.equal(quarantine.size, 0);
  });

  it("suspects for a time, refuses for a time, and then suspects again", () => {
    const quarantine = new Quarantine({ durationMs: 100 });
    const standing = (url: string, nowMs: number): unknown =>
      quarantine.lookUp(request(url), nowMs);
    quarantine.mark(request("http://a/suspect"), 0);
    assert.equal(quarantine.quarantine(request("http://a/poison"), 0), 100);
    assert.deepEqual(standing("http://a/suspect", 99), { kind: "suspect" });
    assert.deepEqual(standing("http://a/suspect", 100), { kind: "unknown" });
    assert.deepEqual(standing("http://a/poison", 0), { kind: "quarantined", forMs: 100 });
    assert.deepEqual(standing("http://a/poison", 99), { kind: "quarantined", forMs: 1 });
    assert.deepEqual(standing("http://a/poison", 100), { kind: "suspect" });
    assert.deepEqual(standing("http://a/poison", 199), { kind: "suspect" });
    assert.deepEqual(standing("http://a/poison", 200), { kind: "unknown" });
    quarantine.expire(100);
    assert.equal(quarantine.size, 1);
    quarantine.expire(200);
    assert.equal(quarantine.size, 0);
  });

  it("keeps refusing a request that is in flight elsewhere when another worker is lost", () => {
    const quarantine = new Quarantine({ durationMs: 100 });
    quarantine.quarantine(request("http://a/poison"), 0);
    quarantine.mark(request("http://a/poison"), 50);
    const poison = request("http://a/poison");
    assert.deepEqual(quarantine.lookUp(poison, 60), { kind: "quarantined", forMs: 40 });
  });

  it("forgets an answered request, and no other one with the same URL", () => {
    const quarantine = new Quarantine({ durationMs: 100 });
    const [one, two] = ["one", "two"].map((body) => request("http://a/", { method: "PUT", body }));
    assert.ok(one !== undefined && two !== undefined);
    for (const each of [one, two, one]) quarantine.mark(each, 0);
    quarantine.clear(one);
    assert.equal(quarantine.size, 1);
    assert.equal(quarantine.lookUp(one, 0).kind, "unknown");
    assert.equal(quarantine.lookUp(two, 0).kind, "suspect");
    quarantine.clear(two);
    quarantine.clear(two);
    assert.equal(quarantine.lookUp(two, 0).kind, "unknown");
  });

  it("remembers no more than its limit, and quarantined requests longest", () => {
    const quarantine = new Quarantine({ durationMs: 100, limit: 3 });
    quarantine.quarantine(request("http://a/poison"), 0);
    for (let number = 0; number < 10; number++) {
      quarantine.mark(request(`http://a/${number}`), 0);
      assert.ok(quarantine.size <= 3);
    }
    const known = ["poison", 9, 8, 7].map(
      (name) => quarantine.lookUp(request(`http://a/${name}`), 0).kind,
    );
    assert.deepEqual(known, ["quarantined", "suspect", "suspect", "unknown"]);
    for (const name of ["a", "b", "c"]) quarantine.quarantine(request(`http://a/${name}`), 0);
    assert.equal(quarantine.size, 3);
    assert.equal(quarantine.lookUp(request("http://a/poison"), 0).kind, "unknown");
  });

  it("remembers nothing when it is off", () => {
    const quarantine = new Quarantine({ durationMs: 0 });
    quarantine.mark(request("http://a/"), 0);
    assert.equal(quarantine.quarantine(request("http://a/"), 0), 0);
    assert.deepEqual([quarantine.enabled, quarantine.size], [false, 0]);
  });
});

describe("fingerprintOf()", () => {
  it("reads the body once, so that it may be dropped", () => {
    const exchange = request("http://a/", { method: "POST", body: "one" });
    const fingerprint = fingerprintOf(exchange);
    exchange.body = null;
    assert.equal(fingerprintOf(exchange), fingerprint);
    assert.notEqual(fingerprintOf(request("http://a/", { method: "POST" })), fingerprint);
  });
});

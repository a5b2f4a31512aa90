import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Group, type Wish } from "../../runtime/balance/group.ts";
import type { LoadedGroup } from "../../runtime/balance/members.ts";
import type { ResolvedAddress } from "../../runtime/balance/names/resolve-name.ts";
import type { UpstreamServer } from "../../runtime/upstream/exchange.ts";
import {
  FAILURE,
  FakeNetwork,
  type FakeUpstream,
  REFUSED,
  toGroupSetting,
} from "./fake-upstream.ts";

const [A, B, C] = ["http://10.0.0.1:80", "http://10.0.0.2:80", "http://10.0.0.3:80"];

const GET: Wish = { key: null, cookie: null, tried: [], mayRepeat: true };
const POST: Wish = { ...GET, mayRepeat: false };

/** A group of fake servers, and a clock that only `pass` moves. */
class Scene extends FakeNetwork {
  readonly group: Group;
  readonly #t: TestContext;

  constructor(t: TestContext, setting: unknown) {
    super();
    this.#t = t;
    t.mock.timers.enable({ apis: ["setTimeout"] });
    this.group = new Group(load(setting), this.parts);
    t.after(() => this.group.destroy());
  }

  use(setting: unknown): void {
    this.group.use(load(setting));
  }

  /** Lets time pass, and each timer that is due end its turn. */
  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 100) {
      const step = Math.min(left, 100);
      this.nowMs += step;
      this.#t.mock.timers.tick(step);
      await turn();
    }
  }

  /** Names of servers that requests get. */
  picks(times: number, wish = GET): string[] {
    return Array.from({ length: times }, () => this.group.pick(wish)?.name ?? "none");
  }

  states(): string[] {
    return this.group.status().servers.map(({ name, state }) => `${name} ${state}`);
  }

  /** Fails a server until it is out. */
  takeOut(name: string): void {
    this.group.failed(this.find(name), REFUSED);
  }
}

function load(setting: unknown): LoadedGroup {
  const tls = { ca: null, certificate: null };
  return { setting: toGroupSetting(setting), tls, graceMs: 30_000 };
}

/** Servers whose health is a matter of checks: the tests have no network to which to connect. */
const CHECKED = {
  servers: [A, B],
  health: { path: "/healthz", interval: "5s", rise: 2, fall: 2, slowStart: "0s" },
};

describe("Group", () => {
  it("chooses as its settings say", (t) => {
    const scene = new Scene(t, { servers: [{ url: A, weight: 2 }, B], balance: "round-robin" });
    assert.deepEqual(scene.picks(6), [A, B, A, A, B, A]);
    scene.use({ servers: [A, B], balance: { hash: "address" } });
    const of = (key: string): string => scene.picks(1, { ...GET, key })[0] ?? "";
    const owners = ["1", "2", "3", "4", "5", "6", "7", "8"].map(of);
    assert.deepEqual(new Set(owners), new Set([A, B]));
    assert.deepEqual(["1", "2", "3", "4", "5", "6", "7", "8"].map(of), owners);
    scene.use([A, B]);
    scene.find(A).occupy();
    assert.deepEqual(scene.picks(3), [B, B, B]);
  });

  it("keeps a client at the server of its cookie, and replaces the cookie of a server that is out", (t) => {
    const scene = new Scene(t, { ...CHECKED, sticky: { cookie: "server", maxAge: "1h" } });
    const { group } = scene;
    const a = scene.find(A);
    const field = group.stickyCookieOf(a, { cookie: null, isSecure: true });
    const [, cookie = ""] =
      /^server=([\w-]{16}); Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/.exec(
        field ?? "",
      ) ?? [];
    assert.notEqual(cookie, "", String(field));
    for (let each = 0; each < 5; each++) a.occupy();
    assert.deepEqual(scene.picks(3, { ...GET, cookie }), [A, A, A]);
    assert.equal(group.stickyCookieOf(a, { cookie, isSecure: true }), null);
    assert.deepEqual(scene.picks(1, { ...GET, cookie: "forged" }), [B]);

    scene.takeOut(A);
    assert.deepEqual(scene.picks(1, { ...GET, cookie }), [B]);
    const other = group.stickyCookieOf(scene.find(B), { cookie, isSecure: false });
    assert.match(other ?? "", /^server=[\w-]{16}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax$/);
    assert.ok(!(other ?? "").includes(cookie));
  });

  it("leaves the cookie of a server that is only full", (t) => {
    const scene = new Scene(t, { servers: [A, B], maxConnections: 1, sticky: "server" });
    const field = scene.group.stickyCookieOf(scene.find(A), { cookie: null, isSecure: true });
    const cookie = /=([^;]+)/.exec(field ?? "")?.[1] ?? "";
    scene.find(A).occupy();
    assert.deepEqual(scene.picks(1, { ...GET, cookie }), [B]);
    assert.equal(scene.group.stickyCookieOf(scene.find(B), { cookie, isSecure: true }), null);
  });

  it("needs failures in a row, and logs when a server goes out and comes back", async (t) => {
    const scene = new Scene(t, CHECKED);
    const { group } = scene;
    const a = scene.find(A);
    group.failed(a, FAILURE);
    group.failed(a, FAILURE);
    group.succeeded(a, 5);
    group.failed(a, FAILURE);
    group.failed(a, FAILURE);
    assert.deepEqual(scene.states(), [`${A} up`, `${B} up`]);
    group.failed(a, FAILURE);
    assert.deepEqual(scene.states(), [`${A} out`, `${B} up`]);
    assert.deepEqual(scene.picks(3), [B, B, B]);
    const reason = "first-byte: the upstream closed the connection";
    assert.deepEqual(scene.messages, [`upstream server is out, ${A}, ${reason}`]);
    assert.equal(scene.lines[0]?.["group"], "api");
    assert.equal(scene.lines[0]?.["othersUp"], 1);

    await scene.pass(1000);
    assert.deepEqual(scene.states(), [`${A} probing`, `${B} up`]);
    assert.deepEqual(
      a.requests.map(({ method, target, fields }) => [method, target, fields.split("\n")[1]]),
      [["GET", "/healthz", "10.0.0.1"]],
    );
    a.answer();
    await scene.pass(5000);
    a.answer(204);
    assert.deepEqual(scene.states(), [`${A} up`, `${B} up`]);
    assert.deepEqual(scene.messages.slice(1), [`upstream server is up, ${A}, ${reason}`]);
  });

  it("does not blame a server for failures that say nothing about it", (t) => {
    const scene = new Scene(t, CHECKED);
    const harmless = [
      { ...FAILURE, reused: true },
      { ...FAILURE, phase: "send" as const },
    ];
    for (const failure of [...harmless, ...harmless, ...harmless]) {
      scene.group.failed(scene.find(A), failure);
    }
    assert.deepEqual(scene.states(), [`${A} up`, `${B} up`]);
    const timedOut = { ...FAILURE, phase: "send" as const, timedOut: true };
    for (let each = 0; each < 3; each++) scene.group.failed(scene.find(A), timedOut);
    assert.deepEqual(scene.states(), [`${A} out`, `${B} up`]);
  });

  it("takes a server out after bad checks, by status, time and connection", async (t) => {
    const scene = new Scene(t, CHECKED);
    const [a, b] = [scene.find(A), scene.find(B)];
    // The first check comes at a random time within the first interval.
    const reasons: string[] = [];
    for (const answer of [() => a.answer(500), () => a.fail(REFUSED)]) {
      while (a.inFlight === 0) await scene.pass(100);
      answer();
      reasons.push(scene.group.status().servers[0]?.lastReason ?? "");
      if (b.inFlight > 0) b.answer();
    }
    assert.deepEqual(reasons, [
      "the health check got 500, expected 2xx, 3xx",
      "the health check failed: connection refused (ECONNREFUSED)",
    ]);
    assert.deepEqual(scene.states()[0], `${A} out`);
    while (a.inFlight === 0) await scene.pass(100);
    await scene.pass(5000);
    assert.equal(
      scene.group.status().servers[0]?.lastReason,
      "the health check got no answer within 5000 ms",
    );
  });

  it("raises the share of a returner slowly", async (t) => {
    const health = { path: "/", rise: 1, slowStart: "10s" };
    const scene = new Scene(t, { servers: [A, B], balance: "round-robin", health });
    const [a, b] = [scene.find(A), scene.find(B)];
    scene.takeOut(A);
    while (a.inFlight === 0) {
      await scene.pass(100);
      if (b.inFlight > 0) b.answer();
    }
    a.answer();
    assert.deepEqual(scene.states(), [`${A} slow start`, `${B} up`]);
    const share = (): number => scene.picks(1100).filter((name) => name === A).length;
    assert.equal(share(), 100);
    scene.nowMs += 5000;
    assert.ok(Math.abs(share() - 1100 / 3) < 2);
    scene.nowMs += 5000;
    assert.ok(Math.abs(share() - 550) < 2);
    assert.deepEqual(scene.states(), [`${A} up`, `${B} up`]);
  });

  it("uses backups when all other servers are out or have failed, not when they are full", (t) => {
    const servers = [A, { url: B, backup: true }];
    const scene = new Scene(t, { ...CHECKED, servers, maxConnections: 2 });
    const [a, b] = [scene.find(A), scene.find(B)];
    assert.deepEqual(scene.picks(3), [A, A, A]);
    assert.deepEqual(scene.picks(1, { ...GET, tried: [a] }), [B]);
    assert.deepEqual(scene.picks(1, { ...GET, tried: [a, b] }), ["none"]);
    a.occupy();
    a.occupy();
    assert.deepEqual(scene.picks(1), ["none"]);
    scene.takeOut(A);
    assert.deepEqual(scene.picks(1), [B]);
  });

  it("lets requests wait while servers are full, in their order, and drops clients that left", async (t) => {
    const scene = new Scene(t, { servers: A, maxConnections: 1, queueDelay: "0s" });
    const { group } = scene;
    const a = scene.find(A);
    a.occupy();
    assert.equal(group.pick(GET), null);
    const ends: string[] = [];
    const stops = ["first", "gone", "second"].map((name) =>
      group.wait(GET, (end) => {
        ends.push(`${name}: ${typeof end === "string" ? end : end.name}`);
        if (typeof end !== "string") (end as FakeUpstream).occupy(); // All servers of a scene are.
      }),
    );
    assert.equal(group.status().queued, 3);
    const [, gone] = stops;
    assert.ok(typeof gone === "function");
    gone();
    a.answer();
    await turn();
    assert.deepEqual(ends, [`first: ${A}`]);
    a.answer();
    await turn();
    assert.deepEqual(ends, [`first: ${A}`, `second: ${A}`]);
    assert.equal(group.status().queued, 0);
  });

  it("lets no new request overtake those that wait", async (t) => {
    const scene = new Scene(t, { servers: A, maxConnections: 1 });
    const { group } = scene;
    scene.find(A).occupy();
    const ends: string[] = [];
    const wait = (name: string): void => {
      group.wait(GET, (end) => {
        ends.push(`${name} ${typeof end}`);
        if (typeof end !== "string") (end as FakeUpstream).occupy();
      });
    };
    wait("first");
    scene.find(A).answer();
    assert.equal(group.pick(GET), null, "the place is for the first in the queue");
    wait("second");
    await turn();
    assert.deepEqual(ends, ["first object"]);
    scene.find(A).answer();
    await turn();
    assert.deepEqual(ends, ["first object", "second object"]);
    assert.equal(group.pick(GET), null);
    scene.find(A).answer();
    assert.equal(group.pick(GET), scene.find(A));
  });

  it("does not leave the last server out for slow answers", async (t) => {
    const scene = new Scene(t, { servers: [A, B], health: { outTime: "100ms" } });
    const { group } = scene;
    const [a, b] = [scene.find(A), scene.find(B)];
    for (let each = 0; each < 3; each++) group.failed(a, { ...FAILURE, timedOut: true });
    assert.deepEqual(scene.states(), [`${A} out`, `${B} up`]);
    for (let each = 0; each < 9; each++) group.failed(b, { ...FAILURE, timedOut: true });
    assert.deepEqual(scene.states(), [`${A} out`, `${B} up`]);
    assert.deepEqual(scene.picks(1), [B]);
    group.failed(b, REFUSED);
    assert.deepEqual(scene.states(), [`${A} out`, `${B} out`]);
    assert.deepEqual(scene.picks(1), ["none"]);
  });

  it("bounds the queue by number, age and expected wait", async (t) => {
    const queue = { queueLimit: 2, queueTimeout: "3s", queueDelay: "1s" };
    const scene = new Scene(t, { servers: A, maxConnections: 1, ...queue });
    const { group } = scene;
    scene.find(A).occupy();
    const ends: unknown[] = [];
    const wait = (): unknown => group.wait(GET, (end) => ends.push(end));
    assert.equal(typeof wait(), "function");
    assert.equal(typeof wait(), "function");
    assert.equal(wait(), "queueLimit");
    await scene.pass(2900);
    assert.deepEqual(ends, []);
    scene.use({ servers: A, maxConnections: 1, ...queue, queueLimit: 9 });
    assert.equal(wait(), "queueDelay", "the first waits for too long already");
    await scene.pass(200);
    assert.deepEqual(ends, ["queueTimeout", "queueTimeout"]);
    assert.deepEqual(
      scene.lines.map(({ refused }) => refused),
      [{ queueLimit: 1 }],
    );
    await scene.pass(10_000);
    assert.deepEqual(scene.lines[1]?.["refused"], { queueDelay: 1, queueTimeout: 2 });
  });

  it("applies a shorter wait to the requests that wait already, and to the next ones", async (t) => {
    const scene = new Scene(t, {
      servers: A,
      maxConnections: 1,
      queueDelay: "0s",
      queueTimeout: "1h",
    });
    scene.find(A).occupy();
    const ends: unknown[] = [];
    scene.group.wait(GET, (end) => ends.push(end));
    await scene.pass(1000);
    scene.use({ servers: A, maxConnections: 1, queueDelay: "0s", queueTimeout: "2s" });
    await scene.pass(900);
    assert.equal(ends.length, 0);
    scene.group.wait(GET, (end) => ends.push(end));
    await scene.pass(200);
    assert.deepEqual(ends, ["queueTimeout"]);
    await scene.pass(1900);
    assert.deepEqual(ends, ["queueTimeout", "queueTimeout"]);
  });

  it("lets requests wait for a server that restarts, and refuses them when it is down for long", async (t) => {
    const health = { path: "/healthz", rise: 1 };
    const scene = new Scene(t, { servers: A, health, queueTimeout: "4s" });
    const { group } = scene;
    const a = scene.find(A);
    scene.takeOut(A);
    assert.equal(group.pick(GET), null);
    const ends: unknown[] = [];
    assert.equal(typeof group.wait(GET, (end) => ends.push(end)), "function");
    await scene.pass(1000);
    a.answer();
    await turn();
    assert.deepEqual(ends, [a]);

    scene.takeOut(A);
    await scene.pass(4100);
    assert.equal(
      group.wait(GET, () => assert.fail("it was refused")),
      "down",
    );
  });

  it("serves others while the first in the queue has failed at all free servers", async (t) => {
    const scene = new Scene(t, { servers: [A, B], maxConnections: 1 });
    const [a, b] = [scene.find(A), scene.find(B)];
    a.occupy();
    b.occupy();
    const ends: string[] = [];
    const wait = (name: string, wish: Wish): void => {
      scene.group.wait(wish, (end) => {
        ends.push(`${name}: ${(end as UpstreamServer).name}`);
        (end as FakeUpstream).occupy();
      });
    };
    assert.equal(scene.group.hasOther([a]), true);
    assert.equal(scene.group.hasOther([a, b]), false);
    wait("choosy", { ...GET, tried: [a] });
    wait("other", GET);
    a.answer();
    await turn();
    assert.deepEqual(ends, [`other: ${A}`]);
    b.answer();
    await turn();
    assert.deepEqual(ends, [`other: ${A}`, `choosy: ${B}`]);
  });

  it("drains a server that a reload removes, and keeps the state of those that stay", async (t) => {
    const scene = new Scene(t, { ...CHECKED, servers: [A, B, C] });
    const { group } = scene;
    const [a, b, c] = [scene.find(A), scene.find(B), scene.find(C)];
    scene.takeOut(B);
    group.failed(c, FAILURE);
    a.occupy();
    scene.use({ ...CHECKED, servers: [{ url: C, weight: 5 }, B] });
    assert.deepEqual(a.closed, [30_000]);
    assert.deepEqual(scene.states(), [`${C} up`, `${B} out`, `${A} draining`]);
    assert.equal(scene.opened.length, 3, "servers that stay keep their connections");
    assert.equal(group.status().servers[0]?.failures, 1);
    assert.deepEqual(scene.picks(2), [C, C]);
    assert.ok(!b.isDestroyed);
    group.failed(a, FAILURE);
    a.answer();
    await turn();
    assert.deepEqual(scene.states(), [`${C} up`, `${B} out`]);
  });

  it("opens new connections when their settings change, and keeps the health of the address", async (t) => {
    const scene = new Scene(t, CHECKED);
    scene.takeOut(A);
    scene.use({ ...CHECKED, connectTimeout: "1s" });
    await turn();
    assert.equal(scene.opened.length, 4);
    assert.deepEqual(scene.states(), [`${A} out`, `${B} up`]);
    assert.equal(scene.find(B).options.timeouts.connectMs, 1000);
  });

  it("probes a new server before it gets requests beside others that work", async (t) => {
    const scene = new Scene(t, CHECKED);
    scene.use({ ...CHECKED, servers: [A, B, C] });
    assert.deepEqual(scene.states(), [`${A} up`, `${B} up`, `${C} probing`]);
    assert.ok(!scene.picks(20).includes(C));
    const c = scene.find(C);
    await scene.pass(100);
    c.answer();
    while (c.inFlight === 0) await scene.pass(100);
    c.answer();
    assert.deepEqual(scene.states()[2], `${C} up`);
  });

  it("forgets that a server is out when health is switched off", (t) => {
    const scene = new Scene(t, CHECKED);
    scene.takeOut(A);
    scene.use({ ...CHECKED, health: "off" });
    assert.deepEqual(scene.states(), [`${A} up`, `${B} up`]);
    scene.takeOut(A);
    assert.ok(scene.picks(2).includes(A));
  });

  it("does not give requests that run once to a server on trial beside others that work", async (t) => {
    const { createServer } = await import("node:net");
    const listening = createServer((socket) => socket.destroy());
    await new Promise<void>((done) => listening.listen(0, "127.0.0.1", done));
    const address = listening.address();
    assert.ok(typeof address === "object" && address !== null);
    const trial = `http://127.0.0.1:${address.port}`;
    const health = { outTime: "100ms", slowStart: "60s" };
    const scene = new Scene(t, { servers: [trial, B], health });
    // A long stream from before does not end the chance of the server.
    scene.find(trial).occupy();
    scene.takeOut(trial);
    await scene.pass(100);
    // The kernel accepts the connection of the probe.
    while (scene.states()[0] !== `${trial} trial`) await turn();
    listening.close();
    assert.deepEqual(scene.picks(3, POST), [B, B, B]);
    assert.deepEqual(scene.picks(1), [trial]);
    scene.find(trial).occupy();
    assert.deepEqual(scene.picks(3), [B, B, B], "one request at a time");
    scene.find(trial).answer();
    scene.find(trial).answer();
    assert.deepEqual(scene.picks(1), [trial], "its client may have left");
    scene.group.failed(scene.find(B), REFUSED);
    assert.deepEqual(scene.states(), [`${trial} slow start`, `${B} out`], "it is the last one");
  });
});

function host(address: string): ResolvedAddress {
  return { host: address, port: null, weight: 1, backup: false };
}

/** The name of a server that the DNS names. */
function via(address: string): string {
  return `http://${address}:3000 (http://api.internal:3000)`;
}

describe("Group with names", () => {
  it("starts without the DNS, and serves the requests that wait once it answers", async (t) => {
    const scene = new Scene(t, { servers: "http://api.internal:3000", health: "off" });
    const ends: unknown[] = [];
    assert.equal(scene.group.pick(GET), null);
    scene.group.wait(GET, (end) => ends.push(end));
    await turn();
    assert.deepEqual(scene.group.status().unresolved, ["api.internal"]);
    assert.deepEqual(scene.messages, [
      "cannot resolve the name of an upstream: its last addresses stay, api.internal is unknown",
    ]);
    scene.names.set("api.internal", { addresses: [host("10.0.0.7")], ttlMs: 5000 });
    await scene.pass(1000);
    assert.deepEqual(
      ends.map((end) => (end as UpstreamServer).name),
      [via("10.0.0.7")],
    );
    assert.deepEqual(scene.group.status().unresolved, []);
    assert.equal(scene.messages[1], "the name of an upstream can be resolved again");
  });

  it("sees new addresses when the records expire, and keeps the last ones when the DNS fails", async (t) => {
    const scene = new Scene(t, { servers: "http://api.internal:3000", health: "off" });
    scene.names.set("api.internal", {
      addresses: [host("10.0.0.8"), host("10.0.0.7")],
      ttlMs: 5000,
    });
    await turn();
    await scene.pass(1000);
    assert.deepEqual(scene.states(), [`${via("10.0.0.7")} up`, `${via("10.0.0.8")} up`]);
    scene.names.set("api.internal", {
      addresses: [host("10.0.0.8"), host("10.0.0.9")],
      ttlMs: 5000,
    });
    await scene.pass(4900);
    assert.equal(scene.opened.length, 2);
    await scene.pass(100);
    assert.deepEqual(scene.states(), [`${via("10.0.0.8")} up`, `${via("10.0.0.9")} up`]);
    assert.deepEqual(scene.find(via("10.0.0.7")).closed, [30_000]);

    scene.names.set("api.internal", new Error("no answer"));
    await scene.pass(5000);
    assert.deepEqual(scene.states(), [`${via("10.0.0.8")} up`, `${via("10.0.0.9")} up`]);
    assert.deepEqual(scene.group.status().unresolved, ["api.internal"]);
  });
});

import assert from "node:assert/strict";
import { after, before, describe, it, type TestContext } from "node:test";
import { RunLeases, type RunTime } from "../../runtime/cron/run-leases.ts";
import { HeldEntry } from "../../runtime/stores/held-entry.ts";
import { createRedisStore } from "../../runtime/stores/redis-store.ts";
import type { Store } from "../../runtime/stores/store.ts";
import { createFakeLog, type FakeLog } from "../helpers/fake-log.ts";
import { eventually } from "../helpers/eventually.ts";
import { noRedis, RedisServer } from "../helpers/redis-server.ts";
import type { Owner } from "../helpers/temporary-folder.ts";

const TIME = Date.parse("2026-06-01T12:00:00Z");
const RUN: RunTime = { job: "a", time: TIME, mayOverlap: false, isMissed: false };

interface Server {
  leases: RunLeases;
  store: Store;
  stop: AbortController;
  fake: FakeLog;
}

describe("RunLeases", { timeout: 120_000, skip: noRedis }, () => {
  let redis: RedisServer;
  let prefixes = 0;
  const ends: (() => void | Promise<void>)[] = [];
  before(async () => {
    redis = await RedisServer.start({ after: (end) => void ends.unshift(end) });
  });
  after(async () => {
    for (const end of ends.toReversed()) await end();
  });

  /** Opens the leases of servers that share a store. */
  function open(t: Owner, count: number, { leaseMs = 20_000 } = {}): Server[] {
    prefixes += 1;
    const options = { url: `unix:${redis.socket}`, prefix: `p${prefixes}`, timeoutMs: 20_000 };
    return Array.from({ length: count }, () => {
      const [stop, fake, store] = [
        new AbortController(),
        createFakeLog(),
        createRedisStore(options),
      ];
      t.after(() => store.close());
      const own = { log: fake.log, stop: stop.signal, leaseMs };
      return { leases: new RunLeases(store, own), store, stop, fake };
    });
  }

  it("gives a time to one of several servers, and tells the others its end", async (t) => {
    const servers = open(t, 4, { leaseMs: 5_000 });
    const claims = servers.map(({ leases }) => leases.claim(RUN));
    const first = await Promise.race(claims);
    assert.ok(first.kind === "mine");
    const [one] = servers;
    assert.deepEqual(await one?.leases.listBegun("a"), [TIME]);
    await first.lease.end("failed");
    assert.deepEqual(await one?.leases.listBegun("a"), []);
    const all = await Promise.all(claims);
    assert.deepEqual(
      all.map((claim) => (claim.kind === "dealt with" ? claim.by : claim.kind)).toSorted(),
      ["failed", "failed", "failed", "mine"],
    );
  });

  it("keeps a lease for as long as its run takes, and holds up the next time of the job", async (t) => {
    const [one, two] = open(t, 2, { leaseMs: 3_000 });
    assert.ok(one !== undefined && two !== undefined);
    const lease = await claimMine(one, RUN);
    const order: string[] = [];
    const next = claimMine(two, { ...RUN, time: TIME + 1 }).then((own) => {
      order.push("next");
      return own;
    });
    // Runs that may overlap have leases of their own.
    const beside = { ...RUN, time: TIME + 2, mayOverlap: true };
    await (await claimMine(two, beside)).end();
    // A lease lasts as long as three of its extensions are apart: without them it would be gone.
    const versions = new Set<string>();
    await eventually(t, async () => {
      const entry = await one.store.get("cron-leases", RUN.job);
      versions.add(entry?.version ?? assert.fail("the lease is gone"));
      return versions.size > 4;
    });
    order.push("ended");
    await lease.end();
    await (await next).end();
    assert.deepEqual(order, ["ended", "next"]);
    assert.deepEqual(one.fake.lines, []);
  });

  it("gives the run of a server that is gone to another one", async (t) => {
    const [gone, other] = open(t, 2, { leaseMs: 500 });
    assert.ok(gone !== undefined && other !== undefined);
    const options = { space: "cron-leases", key: RUN.job, ttlMs: 500 };
    // It is never extended, as after a crash.
    assert.equal(await new HeldEntry(gone.store, options).take(), true);
    await (await claimMine(other, RUN)).end();
  });

  for (const skewMs of [-30_000, 30_000]) {
    it(`keeps a lease for its time when the clock of its server is off by ${skewMs} ms`, async (t) => {
      const leaseMs = 15_000;
      const [skewed, other] = open(t, 2, { leaseMs });
      assert.ok(skewed !== undefined && other !== undefined);
      const realNow = Date.now;
      const beforeMs = realNow();
      t.mock.method(Date, "now", () => realNow() + skewMs);
      const lease = await claimMine(skewed, RUN);
      t.mock.restoreAll();
      const { expiresMs = 0 } = (await other.store.get("cron-leases", RUN.job)) ?? {};
      const [leastMs, mostMs] = [beforeMs + leaseMs, realNow() + leaseMs];
      assert.ok(expiresMs >= leastMs && expiresMs <= mostMs, `${expiresMs - beforeMs} ms`);
      // The other server asks in vain, and learns the end.
      const refused = refusal(t, other.store);
      const claim = other.leases.claim(RUN);
      assert.equal(await Promise.race([refused, claim]), "refused");
      await lease.end();
      assert.deepEqual(await claim, { kind: "dealt with", by: "done" });
    });
  }

  it("waits while the store is gone, and tells it once", async (t) => {
    const [server] = open(t, 1, { leaseMs: 500 });
    assert.ok(server !== undefined);
    await redis.kill();
    const claim = claimMine(server, RUN);
    await server.fake.until(() => server.fake.lines.length > 0);
    await redis.start();
    await (await claim).end();
    const messages = server.fake.lines.map(({ msg }) => String(msg));
    assert.equal(messages.filter((msg) => msg.includes("cannot reach the store")).length, 1);
  });

  it("remembers the end of a run when the store is gone in between", async (t) => {
    const [one, two] = open(t, 2, { leaseMs: 3_000 });
    assert.ok(one !== undefined && two !== undefined);
    const lease = await claimMine(one, RUN);
    await redis.kill();
    const ended = lease.end();
    await one.fake.until(() => one.fake.lines.length > 0);
    await redis.start();
    await ended;
    assert.deepEqual(await two.leases.claim(RUN), { kind: "dealt with", by: "done" });
  });

  it("knows times that were left out, or come before those that another server has dealt with", async (t) => {
    const [one, two] = open(t, 2);
    assert.ok(one !== undefined && two !== undefined);
    await one.leases.noteResult(RUN, "left out");
    assert.deepEqual(await two.leases.claim(RUN), { kind: "dealt with", by: "left out" });
    await one.leases.noteSeen("b", TIME + 10);
    await one.leases.noteSeen("b", TIME);
    const early = { ...RUN, job: "b", time: TIME + 5 };
    const missed = await two.leases.claim({ ...early, isMissed: true });
    assert.deepEqual(missed, { kind: "dealt with", by: "seen" });
    // An interrupted run of this server itself.
    await (await claimMine(two, early)).end();
    await (await claimMine(two, { ...early, time: TIME + 11, isMissed: true })).end();
  });

  it("stops to wait, and lets another server go on at once", async (t) => {
    const [one, two] = open(t, 2);
    assert.ok(one !== undefined && two !== undefined);
    const claim = await one.leases.claim(RUN);
    assert.ok(claim.kind === "mine");
    const waiting = two.leases.claim(RUN);
    two.stop.abort();
    assert.deepEqual(await waiting, { kind: "stopped" });
    await claim.lease.end(null);
    const third = await one.leases.claim(RUN);
    assert.ok(third.kind === "mine", "a run that was cut off is done again");
    await third.lease.end("done");
    await one.leases.close();
    await two.leases.close();
  });
});

/** Resolves when a store has refused to write a lease. */
function refusal(t: TestContext, store: Store): Promise<"refused"> {
  const put = store.put.bind(store);
  return new Promise((resolve) => {
    t.mock.method(store, "put", async (...given: Parameters<Store["put"]>) => {
      const version = await put(...given);
      if (given[0] === "cron-leases" && version === null) resolve("refused");
      return version;
    });
  });
}

async function claimMine({ leases }: Server, run: RunTime): Promise<{ end: () => Promise<void> }> {
  const claim = await leases.claim(run);
  assert.ok(claim.kind === "mine");
  return { end: () => claim.lease.end("done") };
}

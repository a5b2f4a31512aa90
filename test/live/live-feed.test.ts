import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { LiveFeed, type LiveReader, MOST_READERS } from "../../runtime/live/live-feed.ts";
import type { LiveSnapshot } from "../../runtime/live/snapshot.ts";
import { REFUSED_SERIES } from "../../runtime/observe/request-meters.ts";
import { createFacts } from "../metrics/sample-facts.ts";

function isOfAnswers({ text }: { text: string }): boolean {
  return text.includes("answers fail");
}

class FakeReader implements LiveReader {
  isBlocked = false;
  isDropped = false;
  readonly got: LiveSnapshot[] = [];

  send(json: string): void {
    this.got.push(JSON.parse(json) as LiveSnapshot);
  }

  drop(): void {
    this.isDropped = true;
  }
}

function createFeed(t: TestContext) {
  t.mock.timers.enable({ apis: ["setInterval"] });
  const facts = createFacts();
  const counts = { opened: 0, closed: 0, looks: 0 };
  const bugs: unknown[] = [];
  const bug: { error: Error | null } = { error: null };
  let nowMs = 0;
  const feed = new LiveFeed(
    () => {
      counts.opened++;
      return {
        look() {
          counts.looks++;
          if (bug.error !== null) throw bug.error;
          return facts;
        },
        close: () => void counts.closed++,
      };
    },
    {
      onBug: (error) => bugs.push(error),
      clock: { now: () => nowMs, time: () => 1_700_000_000_000 + nowMs },
    },
  );
  const tick = (): void => {
    nowMs += 1_000;
    t.mock.timers.tick(1_000);
  };
  return { feed, facts, counts, tick, bug, bugs };
}

describe("LiveFeed", () => {
  it("looks at the server only while there are readers, once for all of them", (t) => {
    const { feed, counts, tick } = createFeed(t);
    tick();
    assert.deepEqual(counts, { opened: 0, closed: 0, looks: 0 });
    const [one, other] = [new FakeReader(), new FakeReader()];
    const removeOne = feed.add(one);
    const removeOther = feed.add(other);
    assert.deepEqual([one.got.length, other.got.length], [1, 1], "a snapshot at once");
    tick();
    tick();
    assert.deepEqual([one.got.length, other.got.length, counts.looks], [3, 3, 3]);
    removeOne?.();
    tick();
    assert.deepEqual([one.got.length, other.got.length], [3, 4]);
    removeOther?.();
    removeOther?.();
    tick();
    assert.deepEqual(counts, { opened: 1, closed: 1, looks: 4 });
    feed.add(one);
    assert.equal(one.got.at(-1)?.windowMs, 0, "an earlier window does not count");
    removeOne?.();
    assert.equal(counts.closed, 2);
  });

  it("has rates and percentiles of the last seconds", (t) => {
    const { feed, facts, tick } = createFeed(t);
    const reader = new FakeReader();
    feed.add(reader);
    const meters = facts.counters.finishedRequests;
    const id = meters.idOf("a.example", "/new");
    for (let count = 0; count < 20; count++) {
      meters.note(id, { method: "GET", status: 200, ms: 10, bytes: 100, nowMs: 900 });
    }
    meters.note(id, { method: "GET", status: 500, ms: 900, bytes: 0, nowMs: 950 });
    meters.note(id, { method: "GET", status: 499, ms: 5_000, bytes: 0, nowMs: 950 });
    tick();
    const snapshot = reader.got.at(-1);
    const row = snapshot?.routes.find(({ route }) => route === "/new");
    assert.equal(snapshot?.windowMs, 1_000);
    assert.equal(snapshot.traffic.perSecond?.sentBytes, 2_000);
    assert.deepEqual(
      [row?.perSecond, row?.failuresPerSecond, row?.failures, row?.left, row?.lastMs],
      [22, 1, 1, 1, 50],
    );
    const { p50Ms = 0, p99Ms = 0 } = row?.latency ?? {};
    assert.ok(Math.abs(p50Ms - 10) < 1.3 && Math.abs(p99Ms - 900) < 120, `${p50Ms} ${p99Ms}`);
    for (let count = 0; count < 11; count++) tick();
    const quiet = reader.got.at(-1)?.routes.find(({ route }) => route === "/new");
    assert.deepEqual([quiet?.perSecond, quiet?.latency], [0, null]);
    assert.ok((quiet?.sinceStart?.p50Ms ?? 0) > 8);
  });

  it("does not count refused heads as failing answers", (t) => {
    const { feed, facts, tick } = createFeed(t);
    const reader = new FakeReader();
    feed.add(reader);
    const meters = facts.counters.finishedRequests;
    const note = (series: number, status: number, nowMs: number): void =>
      meters.note(series, { method: "BREW", status, ms: 1, bytes: 0, nowMs });
    for (const status of [400, 501, 505]) note(REFUSED_SERIES, status, 500);
    tick();
    assert.equal(reader.got.at(-1)?.traffic.failing, null, "there are no answers of a site");
    assert.deepEqual(reader.got.at(-1)?.problems.filter(isOfAnswers), []);
    const id = meters.idOf("default", "/a");
    for (const status of [200, 200, 200, 499, 500]) note(id, status, 1_500);
    tick();
    assert.deepEqual(reader.got.at(-1)?.traffic.failing, { perSecond: 0.5, share: 0.25 });
    assert.equal(reader.got.at(-1)?.problems.filter(isOfAnswers).length, 1);
  });

  it("skips a reader that is blocked, and drops one that stays blocked", (t) => {
    const { feed, tick } = createFeed(t);
    const [slow, quick] = [new FakeReader(), new FakeReader()];
    feed.add(slow);
    feed.add(quick);
    slow.isBlocked = true;
    for (let count = 0; count < 4; count++) tick();
    assert.deepEqual([slow.got.length, slow.isDropped], [1, false]);
    slow.isBlocked = false;
    tick();
    assert.equal(slow.got.length, 2);
    slow.isBlocked = true;
    for (let count = 0; count < 5; count++) tick();
    assert.deepEqual([slow.got.length, slow.isDropped, feed.readers], [2, true, 1]);
    assert.equal(quick.got.length, 11);
  });

  it("drops its readers when a look fails, and serves later ones", (t) => {
    const { feed, counts, tick, bug, bugs } = createFeed(t);
    const reader = new FakeReader();
    feed.add(reader);
    bug.error = new Error("bug");
    tick();
    tick();
    assert.deepEqual([bugs, reader.isDropped, feed.readers], [[bug.error], true, 0]);
    assert.throws(() => feed.add(new FakeReader()), bug.error);
    assert.deepEqual(counts, { opened: 2, closed: 2, looks: 3 });
    bug.error = null;
    const later = new FakeReader();
    feed.add(later);
    assert.deepEqual([later.got.length, feed.readers, counts.opened], [1, 1, 3]);
  });

  it("bounds its readers", (t) => {
    const { feed } = createFeed(t);
    const removals = Array.from({ length: MOST_READERS }, () => feed.add(new FakeReader()));
    assert.ok(removals.every((remove) => remove !== null));
    const refused = new FakeReader();
    assert.equal(feed.add(refused), null);
    assert.equal(refused.got.length, 0);
    for (const remove of removals) remove();
    assert.equal(feed.readers, 0);
  });

  it("shows the busiest, slowest and most failing routes of thousands", (t) => {
    const { feed, facts, tick } = createFeed(t);
    const reader = new FakeReader();
    feed.add(reader);
    const meters = facts.counters.finishedRequests;
    const note = (route: string, status: number, ms: number): void =>
      meters.note(meters.idOf("default", route), { method: "GET", status, ms, bytes: 0, nowMs: 1 });
    for (let number = 0; number < 3_000; number++) note(`/route/${number}`, 200, 1);
    for (let count = 0; count < 50; count++) note("/busy", 200, 1);
    note("/slow", 200, 9_000);
    note("/fails", 500, 1);
    tick();
    const routes = reader.got.at(-1)?.routes.map(({ route }) => route) ?? [];
    assert.equal(routes[0], "/busy");
    assert.ok(routes.includes("/slow") && routes.includes("/fails"));
    assert.ok(routes.length <= 160, String(routes.length));
    assert.equal(reader.got.at(-1)?.otherRoutes, 3_004 - routes.length);
  });
});

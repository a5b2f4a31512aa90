import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { RouteTallies } from "../../runtime/live/route-tallies.ts";
import type { Tally } from "../../runtime/live/tally.ts";
import { Histogram } from "../../runtime/observe/histogram.ts";
import { RequestMeters } from "../../runtime/observe/request-meters.ts";

const LOOKS = 4;

interface Noted {
  route: string;
  site: string;
  method: string;
  status: number;
  ms: number;
  bytes: number;
}

const noted: fc.Arbitrary<Noted> = fc.record({
  route: fc.constantFrom("/a", "/b", "/c"),
  site: fc.constantFrom("one", "two"),
  method: fc.constantFrom("GET", "POST"),
  status: fc.constantFrom(101, 200, 204, 301, 404, 499, 500, 503),
  ms: fc.oneof(fc.constant(0), fc.double({ min: 0.01, max: 200_000, noNaN: true })),
  bytes: fc.nat(1_000),
});

/** Counts requests one by one. */
function count(requests: readonly Noted[]) {
  const durations = new Histogram();
  const answered = requests.filter(({ status }) => status !== 499);
  for (const { ms } of answered) durations.note(ms);
  return {
    requests: requests.length,
    clientErrors: requests.filter(({ status }) => status === 404).length,
    failures: requests.filter(({ status }) => status >= 500).length,
    left: requests.length - answered.length,
    bytes: requests.reduce((sum, { bytes }) => sum + bytes, 0),
    buckets: [...durations.counts],
  };
}

function read(tally: Tally | null): ReturnType<typeof count> {
  if (tally === null) return count([]);
  const { requests, clientErrors, failures, left, bytes, buckets } = tally;
  return { requests, clientErrors, failures, left, bytes, buckets };
}

describe("RouteTallies", () => {
  it("has the requests since the start and those of the window, by route, by site and of all", () => {
    fc.assert(
      fc.property(fc.array(fc.array(noted, { maxLength: 6 }), { maxLength: 9 }), (ticks) => {
        const meters = new RequestMeters();
        const tallies = new RouteTallies(LOOKS);
        for (const [at, requests] of ticks.entries()) {
          for (const { site, route, ...request } of requests) {
            meters.note(meters.idOf(site, route), { ...request, nowMs: at * 1_000 - 500 });
          }
          tallies.look(meters, at * 1_000);
        }
        // The first look has no time before it that could be in the window.
        const recent = ticks.slice(Math.max(1, ticks.length - LOOKS + 1)).flat();
        const all = ticks.flat();
        const places = [
          { tally: tallies.all, is: () => true },
          ...[...tallies.sites()].map((tally) => ({
            tally,
            is: ({ site }: Noted) => site === tally.site,
          })),
          ...[...tallies.routes()].map((tally) => ({
            tally,
            is: ({ site, route }: Noted) => site === tally.site && route === tally.route,
          })),
        ];
        for (const { tally, is } of places) {
          assert.deepEqual(read(tally.sinceStart), count(all.filter(is)));
          assert.deepEqual(read(tally.inWindow), count(recent.filter(is)));
        }
        assert.equal(tallies.size, new Set(all.map(({ site, route }) => site + route)).size);
      }),
    );
  });

  it("has the slowness of the window, and that since the start without requests in it", () => {
    const meters = new RequestMeters();
    const tallies = new RouteTallies(2);
    const id = meters.idOf("one", "/a");
    const note = (ms: number, nowMs: number): void =>
      meters.note(id, { method: "GET", status: 200, ms, bytes: 0, nowMs });
    const slowness = (): number => Math.round([...tallies.routes()][0]?.p99Ms ?? 0);
    note(100, 1);
    tallies.look(meters, 1_000);
    const before = slowness();
    assert.ok(before > 80 && before < 120, String(before));
    note(1, 1_500);
    tallies.look(meters, 2_000);
    assert.equal(slowness(), 1);
    tallies.look(meters, 3_000);
    assert.equal(slowness(), before);
  });

  it("reads the meters of no route without new requests", () => {
    const meters = new RequestMeters();
    for (let number = 0; number < 1_000; number++) {
      const id = meters.idOf("one", `/${number}`);
      meters.note(id, { method: "GET", status: 200, ms: 1, bytes: 0, nowMs: 100 });
    }
    meters.idOf("one", "/never-asked");
    assert.equal([...meters.changedSince(Number.NEGATIVE_INFINITY)].length, 1_000);
    assert.equal([...meters.changedSince(200)].length, 0);
    meters.note(meters.idOf("one", "/7"), {
      method: "GET",
      status: 200,
      ms: 1,
      bytes: 0,
      nowMs: 200,
    });
    assert.deepEqual(
      [...meters.changedSince(200)].map(({ route, lastMs }) => [route, lastMs]),
      [["/7", 200]],
    );
  });
});

import { CACHE_RESULTS, type CacheResult } from "../http/cache-result.ts";
import type { MetricsFacts, PoolFacts } from "../metrics/facts.ts";
import type { Counters } from "../observe/counters.ts";
import type { Histogram } from "../observe/histogram.ts";
import type { PoolMeter } from "../observe/pool-meters.ts";
import { isReady } from "../observe/readiness.ts";
import type { CountsWindow, Sample } from "./counts-window.ts";
import { findProblems } from "./find-problems.ts";
import { pickMost } from "./pick-most.ts";
import type { RouteTallies, TrafficTally } from "./route-tallies.ts";
import {
  type CacheView,
  type FailureView,
  type LiveSnapshot,
  type PoolView,
  type RouteView,
  SNAPSHOT_FORMAT,
  type TrafficRow,
  type TrafficView,
  type UpstreamView,
  type WorkerView,
} from "./snapshot.ts";
import { toLatency } from "./tally.ts";

/** Most routes of a snapshot: the busiest ones, the slowest ones and the most failing ones. */
const MOST_BUSY = 100;
const MOST_SLOW = 30;
const MOST_FAILING = 30;

/** Most sites of a snapshot. */
const MOST_SITES = 100;

/** The time of a look at a server. */
export interface Moment {
  /** `performance.now()` */
  readonly nowMs: number;
  /** In ms since 1970. */
  readonly timeMs: number;
}

/** Counts of the last seconds: those of names, and those of routes. */
export interface Recent {
  readonly window: CountsWindow;
  readonly tallies: RouteTallies;
}

/** Returns all counts but those of routes, of which a snapshot has rates or percentiles. */
export function toSample(facts: MetricsFacts, nowMs: number): Sample {
  const { counters, status, pools, process } = facts;
  const { requests, responses } = status.traffic;
  const counts = new Map<string, number>([
    ["requests", requests.received],
    ...Object.entries(responses).map(([name, count]) => [`class ${name}`, count] as const),
    ["connections", counters.connections.accepted],
    ["received bytes", counters.receivedBodyBytes],
    ["cpu seconds", process.cpuSeconds],
    ["loop active", process.loopActiveSeconds],
    ["loop idle", process.loopIdleSeconds],
    ...Object.entries(counters.limits).map(([name, count]) => [`limit ${name}`, count] as const),
    ...Object.entries(counters.cached).map(([name, count]) => [`cache ${name}`, count] as const),
  ]);
  for (const { workers } of pools) {
    for (const { id, requests: count } of workers) counts.set(`worker ${id}`, count);
  }
  for (const { name, servers } of status.upstreams ?? []) {
    for (const server of servers) {
      counts.set(`upstream ${name} ${server.name}`, server.requests);
      counts.set(`upstream failures ${name} ${server.name}`, server.failures);
    }
  }
  return { nowMs, counts, histograms: listHistograms(counters) };
}

function* listHistograms({ pools, upstreams }: Counters): Generator<Histogram> {
  for (const [, { waits }] of pools.list()) yield waits;
  for (const [, durations] of upstreams.list()) yield durations;
}

/** Makes a snapshot of facts. Pure. The recent counts include those of these facts. */
export function toSnapshot(
  facts: MetricsFacts,
  recent: Recent,
  { nowMs, timeMs }: Moment,
): LiveSnapshot {
  const { counters, status, readiness, pools, process } = facts;
  const { window, tallies } = recent;
  const busy = window.growthOf("loop active");
  const idle = window.growthOf("loop idle");
  const { pid, version, library, mode, startedAt, generation, routes, rolledBackFrom } = status;
  const { listeners, lostLogLines } = status;
  const chosen = pickRoutes(tallies);
  const snapshot: Omit<LiveSnapshot, "problems"> = {
    format: SNAPSHOT_FORMAT,
    time: new Date(timeMs).toISOString(),
    windowMs: Math.round(window.ms),
    server: {
      pid,
      version,
      library,
      mode,
      startedAt,
      generation,
      routes,
      rolledBackFrom,
      listeners,
      lostLogLines,
      phase: readiness.phase,
      isReady: isReady(readiness),
      uptimeMs: Math.max(0, timeMs - Date.parse(startedAt)),
    },
    traffic: toTraffic(facts, recent),
    primary: {
      rssBytes: process.rssBytes,
      heapUsedBytes: process.heapUsedBytes,
      cpuShare: window.rateOf("cpu seconds"),
      loopUtilization:
        busy === null || idle === null || busy + idle === 0 ? null : busy / (busy + idle),
      loopDelay: process.loopDelay,
    },
    pools: pools.map((pool) => toPool(pool, counters.pools.of(pool.name), window)),
    workers: pools.flatMap((pool) => toWorkers(pool, window)),
    sites: pickMost(tallies.sites(), MOST_SITES, busiestFirst).map((tally) =>
      toRow(tally, window.ms, nowMs),
    ),
    routes: chosen.map((tally): RouteView => ({
      ...toRow(tally, window.ms, nowMs),
      route: tally.route,
    })),
    otherRoutes: tallies.size - chosen.length,
    upstreams: toUpstreams(facts, window),
    cache: toCache(facts, window),
    certificates: status.certificates,
    limits: Object.entries(counters.limits)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => ({ name, count, perSecond: window.rateOf(`limit ${name}`) })),
    failures: toFailures(counters, timeMs),
    events: counters.events.all.map(({ timeMs: atMs, ...event }) => ({
      ...event,
      agoMs: Math.max(0, timeMs - atMs),
    })),
  };
  return {
    ...snapshot,
    problems: findProblems(snapshot, {
      timeMs,
      readiness,
      isLastReloadRefused: counters.reloads.isLastRefused,
    }),
  };
}

function toTraffic(
  { counters, status, pools, spool }: MetricsFacts,
  { window, tallies }: Recent,
): TrafficView {
  const { requests, responses, connections } = status.traffic;
  const rate = (name: string): number => window.rateOf(name) ?? 0;
  const { inWindow, sinceStart } = tallies.all;
  return {
    perSecond:
      window.rateOf("requests") === null
        ? null
        : {
            requests: rate("requests"),
            byClass: {
              "2xx": rate("class 2xx"),
              "3xx": rate("class 3xx"),
              "4xx": rate("class 4xx"),
              "5xx": rate("class 5xx"),
              clientLeft: rate("class clientLeft"),
            },
            sentBytes: perSecond(inWindow?.bytes, window.ms) ?? 0,
            receivedBytes: rate("received bytes"),
            connections: rate("connections"),
          },
    failing: toFailing(tallies, window.ms),
    latency: inWindow === null ? null : toLatency(inWindow.buckets),
    sinceStart: toLatency(sinceStart.buckets),
    requests: requests.received,
    byClass: responses,
    open: requests.open,
    queued: requests.queued,
    queueAgeMs: Math.max(0, ...pools.map(({ queueAgeMs }) => queueAgeMs)),
    inFlight: requests.inFlight,
    connections: connections.open,
    sentBytes: sinceStart.bytes,
    receivedBytes: counters.receivedBodyBytes,
    spooledBytes: spool.heldBytes,
  };
}

/** Returns the failing answers of sites in the window. */
function toFailing({ all, refused }: RouteTallies, windowMs: number): TrafficView["failing"] {
  const count = (name: "requests" | "left" | "failures"): number =>
    (all.inWindow?.[name] ?? 0) - (refused?.inWindow?.[name] ?? 0);
  const answers = count("requests") - count("left");
  const rate = perSecond(count("failures"), windowMs);
  return rate === null || answers === 0
    ? null
    : { perSecond: rate, share: count("failures") / answers };
}

function toPool(pool: PoolFacts, meter: PoolMeter, window: CountsWindow): PoolView {
  const { name, generation, desired, inFlight, queued, queueAgeMs, workers } = pool;
  return {
    name,
    generation,
    desired,
    inFlight,
    queued,
    queueAgeMs,
    isRetiring: desired === 0,
    ready: workers.filter(({ state }) => state === "ready").length,
    wait: window.latencyOf(meter.waits),
    waitSinceStart: toLatency(meter.waits.counts),
    started: meter.started,
    ended: Object.fromEntries(meter.ended),
    recycled: Object.fromEntries(meter.recycled),
    replayed: meter.replayed,
    lost: meter.lost,
  };
}

function toWorkers(
  { name: pool, generation, workers }: PoolFacts,
  window: CountsWindow,
): WorkerView[] {
  return workers.map(({ pongMs, ...worker }): WorkerView => ({
    ...worker,
    pool,
    generation,
    perSecond: window.rateOf(`worker ${worker.id}`),
    loopDelayMs: pongMs,
  }));
}

function toRow(tally: TrafficTally, windowMs: number, nowMs: number): TrafficRow {
  const { site, sinceStart, inWindow, lastMs } = tally;
  const { requests, clientErrors, failures, left } = sinceStart;
  return {
    site,
    requests,
    perSecond: perSecond(inWindow?.requests, windowMs),
    clientErrors,
    failures,
    failuresPerSecond: perSecond(inWindow?.failures, windowMs),
    left,
    latency: inWindow === null ? null : toLatency(inWindow.buckets),
    sinceStart: toLatency(sinceStart.buckets),
    lastMs: Math.max(0, Math.round(nowMs - lastMs)),
  };
}

/** Returns a rate; `null`: there is one look only. */
function perSecond(count: number | undefined, windowMs: number): number | null {
  return windowMs <= 0 ? null : (count ?? 0) / (windowMs / 1_000);
}

/** Returns the busiest, slowest and most failing routes, the busiest first. Builds no rows: a server may have thousands of routes. */
function pickRoutes(tallies: RouteTallies): TrafficTally[] {
  const picked = new Set([
    ...pickMost(tallies.routes(), MOST_BUSY, busiestFirst),
    ...pickMost(tallies.routes(), MOST_SLOW, (one, other) => other.p99Ms - one.p99Ms),
    ...pickMost(
      tallies.routes(),
      MOST_FAILING,
      (one, other) => other.sinceStart.failures - one.sinceStart.failures,
    ),
  ]);
  return [...picked].toSorted(busiestFirst);
}

function busiestFirst(one: TrafficTally, other: TrafficTally): number {
  return (
    (other.inWindow?.requests ?? 0) - (one.inWindow?.requests ?? 0) ||
    other.sinceStart.requests - one.sinceStart.requests ||
    (one.site < other.site ? -1 : Number(one.site > other.site))
  );
}

function toUpstreams({ counters, status }: MetricsFacts, window: CountsWindow): UpstreamView[] {
  return (status.upstreams ?? []).map(({ name, servers, queued, unresolved }) => {
    const durations = counters.upstreams.of(name);
    return {
      name,
      queued,
      unresolved,
      latency: window.latencyOf(durations),
      sinceStart: toLatency(durations.counts),
      servers: servers.map((server) => ({
        ...server,
        perSecond: window.rateOf(`upstream ${name} ${server.name}`),
        failuresPerSecond: window.rateOf(`upstream failures ${name} ${server.name}`),
      })),
    };
  });
}

/** Results for which the client got a stored answer, or that to another request. */
const HITS = ["hit", "stale", "revalidated", "collapsed"] as const;

/** Results of requests that are for the cache. */
const CACHEABLE = CACHE_RESULTS.filter((result) => result !== "bypass");

function toCache({ status: { cache } }: MetricsFacts, window: CountsWindow): CacheView | null {
  if (cache === undefined) return null;
  return {
    ...cache,
    hitShare: toShare((result) => window.growthOf(`cache ${result}`) ?? 0),
    hitShareSinceStart: toShare((result) => cache.results[result]),
  };
}

/** Returns the share of hits; `null`: there were no requests. */
function toShare(countOf: (result: CacheResult) => number): number | null {
  const all = sum(CACHEABLE, countOf);
  return all === 0 ? null : sum(HITS, countOf) / all;
}

function toFailures({ failures, finishedRequests }: Counters, timeMs: number): FailureView[] {
  return failures.all.map(({ count, last, reason }) => {
    const { series, timeMs: atMs, workerId, method, path, status, limitedBy, upstream } = last;
    return {
      count,
      lastMs: Math.max(0, timeMs - atMs),
      ...finishedRequests.nameOf(series),
      method,
      path,
      status,
      limitedBy,
      upstream,
      worker: workerId,
      requestId: last.requestId,
      message: reason?.message ?? null,
      handler: reason?.handler ?? null,
      place: reason?.place ?? null,
    };
  });
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

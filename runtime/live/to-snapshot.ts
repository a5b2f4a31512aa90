import { CACHE_RESULTS, type CacheResult } from "../http/cache-result.ts";
import type { MetricsFacts, PoolFacts } from "../metrics/facts.ts";
import type { Counters } from "../observe/counters.ts";
import type { Histogram } from "../observe/histogram.ts";
import type { PoolMeter } from "../observe/pool-meters.ts";
import { isReady } from "../observe/readiness.ts";
import type { NamedMeter } from "../observe/request-meters.ts";
import { type CountsWindow, latencySinceStart, type Sample } from "./counts-window.ts";
import { findProblems } from "./find-problems.ts";
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

/** Returns all counts of which a snapshot has rates or percentiles. */
export function toSample(facts: MetricsFacts, nowMs: number): Sample {
  const { counters, status, pools, process } = facts;
  const { requests, responses } = status.traffic;
  const counts = new Map<string, number>([
    ["requests", requests.received],
    ...Object.entries(responses).map(([name, count]) => [`class ${name}`, count] as const),
    ["connections", counters.connections.accepted],
    ["received bytes", counters.receivedBodyBytes],
    ["sent bytes", sum([...counters.finishedRequests.list()], ({ bytes }) => bytes)],
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

function* listHistograms({ finishedRequests, pools, upstreams }: Counters): Generator<Histogram> {
  for (const { durations } of finishedRequests.list()) yield durations;
  for (const [, { waits }] of pools.list()) yield waits;
  for (const [, durations] of upstreams.list()) yield durations;
}

/** Makes a snapshot of facts. Pure. `window` has the sample of these facts as its newest one. */
export function toSnapshot(
  facts: MetricsFacts,
  window: CountsWindow,
  { nowMs, timeMs }: Moment,
): LiveSnapshot {
  const { counters, status, readiness, pools, process } = facts;
  const meters = [...counters.finishedRequests.list()];
  const busy = window.growthOf("loop active");
  const idle = window.growthOf("loop idle");
  const { pid, version, library, mode, startedAt, generation, routes, rolledBackFrom } = status;
  const { listeners, lostLogLines } = status;
  const rows = toRouteViews(meters, window, nowMs);
  const chosen = pickRoutes(rows);
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
    traffic: toTraffic(facts, window, meters),
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
    sites: toSites(meters, window, nowMs),
    routes: chosen,
    otherRoutes: rows.length - chosen.length,
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
  window: CountsWindow,
  meters: readonly NamedMeter[],
): TrafficView {
  const { requests, responses, connections } = status.traffic;
  const rate = (name: string): number => window.rateOf(name) ?? 0;
  const answered = meters.filter(({ result }) => result !== "left").map(toDurations);
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
            sentBytes: rate("sent bytes"),
            receivedBytes: rate("received bytes"),
            connections: rate("connections"),
          },
    latency: window.latencyOf(answered),
    sinceStart: latencySinceStart(answered),
    requests: requests.received,
    byClass: responses,
    open: requests.open,
    queued: requests.queued,
    queueAgeMs: Math.max(0, ...pools.map(({ queueAgeMs }) => queueAgeMs)),
    inFlight: requests.inFlight,
    connections: connections.open,
    sentBytes: sum(meters, ({ bytes }) => bytes),
    receivedBytes: counters.receivedBodyBytes,
    spooledBytes: spool.heldBytes,
  };
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
    wait: window.latencyOf([meter.waits]),
    waitSinceStart: latencySinceStart([meter.waits]),
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

function toSites(
  meters: readonly NamedMeter[],
  window: CountsWindow,
  nowMs: number,
): readonly TrafficRow[] {
  return [...group(meters, ({ site }) => site).values()]
    .map((all) => toRow(all, window, nowMs))
    .toSorted(busiestFirst)
    .slice(0, MOST_SITES);
}

function toRouteViews(
  meters: readonly NamedMeter[],
  window: CountsWindow,
  nowMs: number,
): RouteView[] {
  return [...group(meters, ({ site, route }) => `${site}\n${route}`).values()].map((all) => ({
    ...toRow(all, window, nowMs),
    route: all[0]?.route ?? "",
  }));
}

function toRow(meters: readonly NamedMeter[], window: CountsWindow, nowMs: number): TrafficRow {
  const countOf = (result: NamedMeter["result"]): number =>
    sum(
      meters.filter((meter) => meter.result === result),
      ({ durations }) => durations.count,
    );
  const answered = meters.filter(({ result }) => result !== "left").map(toDurations);
  const failed = meters.filter(({ result }) => result === "5xx").map(toDurations);
  return {
    site: meters[0]?.site ?? "",
    requests: sum(meters, ({ durations }) => durations.count),
    perSecond: window.rateOfAll(meters.map(toDurations)),
    clientErrors: countOf("4xx"),
    failures: countOf("5xx"),
    failuresPerSecond: window.rateOfAll(failed),
    left: countOf("left"),
    latency: window.latencyOf(answered),
    sinceStart: latencySinceStart(answered),
    lastMs: Math.max(0, Math.round(nowMs - latestOf(meters))),
  };
}

/** Time of the last answer. `Math.max(...)` has no room for the meters of thousands of routes. */
function latestOf(meters: readonly { lastMs: number }[]): number {
  return meters.reduce((latest, { lastMs }) => Math.max(latest, lastMs), Number.NEGATIVE_INFINITY);
}

/** Returns the busiest, slowest and most failing routes, the busiest first. */
function pickRoutes(rows: readonly RouteView[]): RouteView[] {
  const busiest = rows.toSorted(busiestFirst);
  const picked = new Set([
    ...busiest.slice(0, MOST_BUSY),
    ...rows.toSorted((one, other) => slowness(other) - slowness(one)).slice(0, MOST_SLOW),
    ...rows.toSorted((one, other) => other.failures - one.failures).slice(0, MOST_FAILING),
  ]);
  return busiest.filter((row) => picked.has(row));
}

function busiestFirst(one: TrafficRow, other: TrafficRow): number {
  return (
    (other.perSecond ?? 0) - (one.perSecond ?? 0) ||
    other.requests - one.requests ||
    one.site.localeCompare(other.site)
  );
}

function slowness({ latency, sinceStart }: TrafficRow): number {
  return latency?.p99Ms ?? sinceStart?.p99Ms ?? 0;
}

function toUpstreams({ counters, status }: MetricsFacts, window: CountsWindow): UpstreamView[] {
  return (status.upstreams ?? []).map(({ name, servers, queued, unresolved }) => {
    const durations = counters.upstreams.of(name);
    return {
      name,
      queued,
      unresolved,
      latency: window.latencyOf([durations]),
      sinceStart: latencySinceStart([durations]),
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

function toDurations({ durations }: NamedMeter): Histogram {
  return durations;
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0);
}

function group<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const known = groups.get(key);
    if (known === undefined) groups.set(key, [item]);
    else known.push(item);
  }
  return groups;
}

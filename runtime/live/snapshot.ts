import type { CacheInfo, Status, UpstreamServerInfo } from "../control/operations.ts";
import type { OldestRequest } from "../observe/oldest-request.ts";

/** Number of the form of snapshots. Another one means another version of Edgicorn. */
export const SNAPSHOT_FORMAT = 2;

/**
 * The state of a server at one moment, for the status page, `edgicorn top` and `edgicorn status`. Plain data.
 *
 * Rates are per second. Rates and `latency` are of the last seconds, `windowMs`; `null`: nothing happened, or nothing was measured
 * before. `sinceStart` and counts are since the start of the primary.
 */
export interface LiveSnapshot {
  readonly format: typeof SNAPSHOT_FORMAT;
  /** RFC 3339. */
  readonly time: string;
  /** 0 in the first snapshot: there are no rates. */
  readonly windowMs: number;
  /** The worst first; empty: all is well. */
  readonly problems: readonly Problem[];
  readonly server: ServerView;
  readonly traffic: TrafficView;
  readonly primary: PrimaryView;
  readonly pools: readonly PoolView[];
  readonly workers: readonly WorkerView[];
  readonly sites: readonly TrafficRow[];
  /** The busiest, slowest and most failing ones, the busiest first. */
  readonly routes: readonly RouteView[];
  /** Number of routes with requests that are left out. */
  readonly otherRoutes: number;
  readonly upstreams: readonly UpstreamView[];
  readonly cache: CacheView | null;
  readonly certificates: Status["certificates"];
  /** Limits that have refused or cut off requests. */
  readonly limits: readonly { name: string; count: number; perSecond: number | null }[];
  /** The newest first. */
  readonly failures: readonly FailureView[];
  /** Reloads, lost workers and commands, the newest first. */
  readonly events: readonly EventView[];
}

/** Something that an operator should know at once. */
export interface Problem {
  /** `bad`: clients notice it. */
  readonly level: "bad" | "warn";
  /** One line for a person. */
  readonly text: string;
}

export interface ServerView extends Pick<
  Status,
  | "pid"
  | "version"
  | "library"
  | "mode"
  | "startedAt"
  | "generation"
  | "routes"
  | "rolledBackFrom"
  | "listeners"
  | "lostLogLines"
> {
  readonly phase: "starting" | "serving" | "draining";
  readonly isReady: boolean;
  readonly uptimeMs: number;
}

/** Percentiles of durations, within an eighth. */
export interface Latency {
  readonly p50Ms: number;
  readonly p95Ms: number;
  readonly p99Ms: number;
}

export interface TrafficView {
  readonly perSecond: {
    readonly requests: number;
    readonly byClass: Readonly<Record<ResponseClass, number>>;
    readonly sentBytes: number;
    readonly receivedBytes: number;
    readonly connections: number;
  } | null;
  /**
   * Answers of sites with a status of 5xx; `null`: there are no rates, or no answers. Refusals of requests that no site has seen are not
   * counted: a client that sends garbage does not make a server fail.
   */
  readonly failing: { readonly perSecond: number; readonly share: number } | null;
  readonly latency: Latency | null;
  readonly sinceStart: Latency | null;
  readonly requests: number;
  readonly byClass: Readonly<Record<ResponseClass, number>>;
  readonly open: number;
  readonly queued: number;
  readonly queueAgeMs: number;
  readonly inFlight: number;
  readonly connections: number;
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Bytes of bodies that wait on disk. */
  readonly spooledBytes: number;
}

export type ResponseClass = "2xx" | "3xx" | "4xx" | "5xx" | "clientLeft";

export interface PrimaryView {
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  /** Share of one CPU. */
  readonly cpuShare: number | null;
  /** Share of the time in which its event loop was busy. */
  readonly loopUtilization: number | null;
  /** Delays of its event loop in the last second. */
  readonly loopDelay: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
}

export interface PoolView {
  readonly name: string;
  readonly generation: string;
  readonly isRetiring: boolean;
  readonly desired: number;
  readonly ready: number;
  readonly inFlight: number;
  readonly queued: number;
  readonly queueAgeMs: number;
  /** Waits of requests that had to queue. */
  readonly wait: Latency | null;
  readonly waitSinceStart: Latency | null;
  readonly started: number;
  /** Number of workers that ended, by cause, and that were replaced in order, by reason. */
  readonly ended: Readonly<Record<string, number>>;
  readonly recycled: Readonly<Record<string, number>>;
  readonly replayed: number;
  readonly lost: number;
}

export interface WorkerView {
  readonly id: number;
  readonly pid: number;
  readonly pool: string;
  readonly generation: string;
  readonly state: string;
  readonly readyForMs: number | null;
  readonly requests: number;
  readonly perSecond: number | null;
  readonly inFlight: number;
  /** Promises of `waitUntil()` that have not settled. */
  readonly backgroundWork: number | null;
  readonly rssBytes: number | null;
  readonly heapUsedBytes: number | null;
  readonly loopUtilization: number | null;
  /** How long it took to answer its last ping. */
  readonly loopDelayMs: number | null;
  /** The request that it has had for the longest time; `null`: it has none. */
  readonly oldest: OldestRequest | null;
}

/** The requests of a site. */
export interface TrafficRow {
  readonly site: string;
  readonly requests: number;
  readonly perSecond: number | null;
  readonly clientErrors: number;
  /** Answers of 500 and above. */
  readonly failures: number;
  readonly failuresPerSecond: number | null;
  readonly left: number;
  readonly latency: Latency | null;
  readonly sinceStart: Latency | null;
  /** Time since the end of the newest request. */
  readonly lastMs: number;
}

export interface RouteView extends TrafficRow {
  /** A pattern, or `files`, `proxy`, `rules` and the like (docs/metrics.md). */
  readonly route: string;
}

export interface UpstreamView {
  readonly name: string;
  readonly queued: number;
  readonly unresolved: readonly string[];
  readonly latency: Latency | null;
  readonly sinceStart: Latency | null;
  readonly servers: readonly (UpstreamServerInfo & {
    readonly perSecond: number | null;
    readonly failuresPerSecond: number | null;
  })[];
}

export interface CacheView extends CacheInfo {
  /** Share of the requests that took their answer from the cache; `null`: there were none. */
  readonly hitShare: number | null;
  readonly hitShareSinceStart: number | null;
}

/** Equal failures: of one route, method, status, limit and place. */
export interface FailureView {
  readonly count: number;
  /** Time since the newest one. */
  readonly lastMs: number;
  readonly site: string;
  readonly route: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly limitedBy: string | null;
  readonly upstream: string | null;
  readonly worker: number | null;
  readonly requestId: string;
  /** The error in one line; `null`: no handler reported one. */
  readonly message: string | null;
  readonly handler: string | null;
  /** `handlers/a.ts:12` */
  readonly place: string | null;
}

export interface EventView {
  /** 1 for the first one since the start. */
  readonly number: number;
  readonly kind: string;
  readonly isGood: boolean;
  readonly text: string;
  /** Time since then. */
  readonly agoMs: number;
}

/** Tells whether a value is a snapshot of this version's form. A server sent it, which has checked all of its members. */
export function isSnapshot(value: unknown): value is LiveSnapshot {
  return (
    typeof value === "object" && value !== null && Reflect.get(value, "format") === SNAPSHOT_FORMAT
  );
}

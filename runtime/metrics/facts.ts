import type { Status } from "../control/operations.ts";
import type { Counters } from "../observe/counters.ts";
import type { OldestRequest } from "../observe/oldest-request.ts";
import type { Readiness } from "../observe/readiness.ts";

/** All that metrics are made of: one look at a server. */
export interface MetricsFacts {
  readonly counters: Counters;
  readonly status: Status;
  readonly readiness: Readiness;
  readonly pools: readonly PoolFacts[];
  /** Bodies that wait on disk. */
  readonly spool: { readonly files: number; readonly heldBytes: number };
  /** Traced requests that a collector got, those that were dropped, and spans that the collector has not taken. */
  readonly traces: {
    readonly exported: number;
    readonly dropped: number;
    readonly rejectedSpans: number;
  };
  /** Upper bounds of the buckets of all histograms, in ms, ascending. All are bounds of `Histogram`. */
  readonly bucketsMs: readonly number[];
  /** The primary's own process. */
  readonly process: ProcessFacts;
}

/** One pool with one version of its code. */
export interface PoolFacts {
  readonly name: string;
  readonly generation: string;
  /** Number of workers that the pool should have; 0: it retires. */
  readonly desired: number;
  readonly queued: number;
  readonly inFlight: number;
  /** How long the oldest queued request has waited. */
  readonly queueAgeMs: number;
  readonly workers: readonly WorkerFacts[];
}

/** `null`: the worker has not sent it yet. */
export interface WorkerFacts {
  readonly id: number;
  readonly state: string;
  readonly requests: number;
  readonly inFlight: number;
  readonly rssBytes: number | null;
  readonly heapUsedBytes: number | null;
  readonly loopUtilization: number | null;
  readonly backgroundWork: number | null;
  readonly pongMs: number | null;
  readonly pid: number;
  readonly readyForMs: number | null;
  /** The request that it has had for the longest time; `null`: it has none. */
  readonly oldest: OldestRequest | null;
}

/** Measurements of a process. */
export interface ProcessFacts {
  /** CPU time since its start. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  readonly heapUsedBytes: number;
  /** In seconds since 1970. */
  readonly startedAtSeconds: number;
  /** Time since its start in which the event loop was busy, and in which it waited. */
  readonly loopActiveSeconds: number;
  readonly loopIdleSeconds: number;
  /** Delays of the event loop since the last look. */
  readonly loopDelay: { readonly p50Ms: number; readonly p99Ms: number; readonly maxMs: number };
}

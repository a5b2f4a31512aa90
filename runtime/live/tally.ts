import { BOUNDS_MS } from "../lib/duration-bounds.ts";
import { quantileOf } from "../observe/histogram.ts";
import type { Latency } from "./snapshot.ts";

/** Counts of requests by their end, and the size of the bodies of their answers. */
export interface Counts {
  requests: number;
  /** Answers with a status of 4xx, and those of 5xx. */
  clientErrors: number;
  failures: number;
  /** Requests whose client left. */
  left: number;
  bytes: number;
}

/** The requests of one route between two looks. */
export interface Change extends Readonly<Counts> {
  /** By turns the index of a bucket of durations, and the number that it has grown by. Other buckets have not grown. */
  readonly buckets: readonly number[];
}

/** Sums of changes: counts, and the durations of all answers. */
export class Tally implements Counts {
  requests = 0;
  clientErrors = 0;
  failures = 0;
  left = 0;
  bytes = 0;
  /** As the buckets of a histogram. Requests whose client left are not in it. */
  readonly buckets: number[] = Array.from<number>({ length: BOUNDS_MS.length + 1 }).fill(0);

  /** Adds a change, or takes it out again. */
  add(change: Change, sign: 1 | -1): void {
    this.requests += sign * change.requests;
    this.clientErrors += sign * change.clientErrors;
    this.failures += sign * change.failures;
    this.left += sign * change.left;
    this.bytes += sign * change.bytes;
    const { buckets } = change;
    for (let at = 0; at < buckets.length; at += 2) {
      const index = buckets[at] ?? 0;
      this.buckets[index] = (this.buckets[index] ?? 0) + sign * (buckets[at + 1] ?? 0);
    }
  }
}

/** Returns percentiles of counted durations; `null`: there are none. */
export function toLatency(buckets: ArrayLike<number>): Latency | null {
  const p50Ms = quantileOf(buckets, 0.5);
  if (p50Ms === null) return null;
  const p95Ms = quantileOf(buckets, 0.95) ?? p50Ms;
  return { p50Ms, p95Ms, p99Ms: quantileOf(buckets, 0.99) ?? p95Ms };
}

import type { Histogram } from "../observe/histogram.ts";
import type { Latency } from "./snapshot.ts";
import { toLatency } from "./tally.ts";

/** All counts of a server at one moment. They only grow. */
export interface Sample {
  /** `performance.now()` */
  readonly nowMs: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly histograms: Iterable<Histogram>;
}

interface Kept {
  readonly nowMs: number;
  readonly counts: ReadonlyMap<string, number>;
  readonly histograms: Map<Histogram, KeptHistogram>;
}

interface KeptHistogram {
  readonly sumMs: number;
  readonly counts: Readonly<Float64Array>;
}

/** The samples of the last seconds, and the differences between the oldest and the newest one. */
export class CountsWindow {
  readonly #most: number;
  /** Oldest first. */
  readonly #samples: Kept[] = [];

  /** @param most Number of samples that are kept. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Time between the oldest and the newest sample. */
  get ms(): number {
    const [oldest] = this.#samples;
    const newest = this.#samples.at(-1);
    return oldest === undefined || newest === undefined ? 0 : newest.nowMs - oldest.nowMs;
  }

  /** Adds a sample. Copies the histograms that have changed. */
  add({ nowMs, counts, histograms }: Sample): void {
    const before = this.#samples.at(-1)?.histograms;
    const kept = new Map<Histogram, KeptHistogram>();
    for (const histogram of histograms) {
      const known = before?.get(histogram);
      // A duration changes the sum, unless it is 0: such a count shows with the next one.
      const isSame = known !== undefined && known.sumMs === histogram.sumMs;
      kept.set(
        histogram,
        isSame ? known : { sumMs: histogram.sumMs, counts: histogram.counts.slice() },
      );
    }
    this.#samples.push({ nowMs, counts, histograms: kept });
    if (this.#samples.length > this.#most) this.#samples.shift();
  }

  /** Returns how much a count has grown; `null`: there is one sample only. A count that was not there before began at 0. */
  growthOf(name: string): number | null {
    const [oldest] = this.#samples;
    const newest = this.#samples.at(-1);
    if (oldest === undefined || newest === undefined || oldest === newest) return null;
    return Math.max(0, (newest.counts.get(name) ?? 0) - (oldest.counts.get(name) ?? 0));
  }

  /** Returns the same per second. */
  rateOf(name: string): number | null {
    const growth = this.growthOf(name);
    return growth === null || this.ms <= 0 ? null : growth / (this.ms / 1_000);
  }

  /** Returns percentiles of the durations of a histogram in the window; `null`: there are none. */
  latencyOf(histogram: Histogram): Latency | null {
    const [oldest] = this.#samples;
    const newest = this.#samples.at(-1);
    const after = newest?.histograms.get(histogram);
    const before = oldest?.histograms.get(histogram);
    if (oldest === newest || after === undefined || after === before) return null;
    return toLatency(after.counts.map((count, at) => count - (before?.counts[at] ?? 0)));
  }
}

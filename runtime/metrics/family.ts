import type { Histogram } from "../observe/histogram.ts";
import type { MetricsFacts } from "./facts.ts";

/** A metric with all its series. */
export interface Family {
  /** Without the ending `_total` of counters. Ends with the unit, where it has one. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  /** `null`: a number of things. */
  readonly unit: "seconds" | "bytes" | "ratio" | null;
  /** Names of the labels, in the order of the values of a sample. */
  readonly labels: readonly string[];
  /** One sentence. */
  readonly help: string;
  readonly collect: (facts: MetricsFacts) => Iterable<Sample>;
}

/** One series: the values of its labels, and its value. Durations of histograms are in ms, and written in seconds. */
export type Sample = readonly [labels: readonly string[], value: number | Histogram];

/** Returns the only sample of a metric without labels. */
export function one(value: number): Sample[] {
  return [[[], value]];
}

/** Returns a sample for each entry of a record or map, with the key as its label. */
export function each(counts: Iterable<readonly [string, number]>): Sample[] {
  return [...counts].map(([key, value]) => [[key], value]);
}

/** Milliseconds to seconds. */
export function toSeconds(ms: number): number {
  return ms / 1_000;
}

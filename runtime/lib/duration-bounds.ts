/** Steps of one decade. Each bound is at most 1.25 times the one before. All numbers of one digit are steps, for bounds that operators choose. */
const STEPS = [1, 1.2, 1.5, 1.8, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 7.5, 8, 9] as const;

/** The upper end of the steps. */
const FINE_END_MS = 100_000;

/** Bounds above the steps: 2, 3, 5 and 10 minutes. */
const LONG_MS = [120_000, 180_000, 300_000, 600_000] as const;

/** Upper bounds in ms of the buckets in which the server counts durations, ascending from 0.1 ms to 10 min. */
export const BOUNDS_MS: Readonly<Float64Array> = new Float64Array([
  ...[-1, 0, 1, 2, 3, 4].flatMap((power) => STEPS.map((step) => round(step * 10 ** power))),
  FINE_END_MS,
  ...LONG_MS,
]);

/** Without the last digits of binary fractions: 0.12, not 0.12000000000000001. */
function round(value: number): number {
  return Number(value.toPrecision(3));
}

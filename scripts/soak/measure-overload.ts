import { runOpenLoop, type OpenLoopResult, type Sample } from "./open-loop.ts";

export interface OverloadOptions {
  port: number;
  path: string;
  /** The load, as a multiple of the server's capacity. */
  times: number;
  /** Duration of each of the two phases. */
  durationMs: number;
}

export interface Distribution {
  p50: number;
  p99: number;
  max: number;
}

export interface OverloadResult {
  /** Answers per second without refusals, at full load. */
  peakPerSecond: number;
  /** Answers per second without refusals, at overload. */
  overloadedPerSecond: number;
  askedPerSecond: number;
  refused: number;
  /** Refusals without `Retry-After`. */
  withoutRetryAfter: number;
  /** Neither answered nor refused, or with another status. */
  failed: number;
  servedMs: Distribution;
  refusedMs: Distribution;
  /** Median wait of answered requests, in the second and in the last quarter of the time: a growing queue shows. */
  earlyMs: number;
  lateMs: number;
}

/** Time to find a rate that exceeds the server's capacity. */
const STEP_MS = 1_000;
const FIRST_PER_SECOND = 100;
const MOST_CONNECTIONS = 2_000;

/** Finds a server's capacity, then sends several times as much. */
export async function measureOverload(options: OverloadOptions): Promise<OverloadResult> {
  const { port, path, times, durationMs } = options;
  const run = (perSecond: number, forMs: number): Promise<OpenLoopResult> =>
    runOpenLoop({ port, path, perSecond, durationMs: forMs, maxConnections: MOST_CONNECTIONS });

  let perSecond = FIRST_PER_SECOND;
  let doable = 0;
  for (; ; perSecond *= 2) {
    doable = Math.max(doable, servedPerSecond(await run(perSecond, STEP_MS), STEP_MS));
    if (doable < 0.9 * perSecond) break;
  }
  // Slightly above the capacity: the server is busy all the time, and refuses hardly anything.
  const peak = servedPerSecond(await run(1.05 * doable, durationMs), durationMs);
  const peakPerSecond = Math.max(peak, doable);
  const askedPerSecond = times * peakPerSecond;
  const startMs = performance.now();
  const { samples, unsent, failed } = await run(askedPerSecond, durationMs);
  const served = samples.filter(({ status }) => status === 200);
  const refused = samples.filter(({ status }) => status === 503);
  const within = (from: number, to: number): number[] =>
    served
      .filter(
        ({ dueMs }) => dueMs - startMs >= from * durationMs && dueMs - startMs < to * durationMs,
      )
      .map(({ durationMs: ms }) => ms);
  return {
    peakPerSecond,
    overloadedPerSecond: servedPerSecond({ samples, unsent, failed }, durationMs),
    askedPerSecond,
    refused: refused.length,
    withoutRetryAfter: refused.filter(({ retryAfter }) => !retryAfter).length,
    failed: unsent + failed + samples.length - served.length - refused.length,
    servedMs: toDistribution(served),
    refusedMs: toDistribution(refused),
    earlyMs: median(within(0.25, 0.5)),
    lateMs: median(within(0.75, 1)),
  };
}

/** Counts answers during the load only: later answers come from the queue. */
function servedPerSecond({ samples }: OpenLoopResult, durationMs: number): number {
  const startMs = Math.min(...samples.map(({ dueMs }) => dueMs));
  const inTime = samples.filter(
    ({ status, dueMs, durationMs: ms }) => status === 200 && dueMs + ms - startMs <= durationMs,
  );
  return (inTime.length * 1000) / durationMs;
}

function toDistribution(samples: readonly Sample[]): Distribution {
  const sorted = samples.map(({ durationMs }) => durationMs).toSorted((a, b) => a - b);
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: sorted.at(-1) ?? 0 };
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? 0;
}

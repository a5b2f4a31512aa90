import { runOpenLoop, type OpenLoopResult, type Sample } from "./open-loop.ts";

export interface OverloadOptions {
  port: number;
  path: string;
  /** How many times what the server can do. */
  times: number;
  /** How long each of the two phases takes. */
  durationMs: number;
}

export interface Distribution {
  p50: number;
  p99: number;
  max: number;
}

export interface OverloadResult {
  /** Answers a second that were no refusals, when as much is asked for as can be done. */
  peakPerSecond: number;
  /** The same when more is asked for. */
  overloadedPerSecond: number;
  askedPerSecond: number;
  refused: number;
  /** Of the refused, those without `Retry-After`. */
  withoutRetryAfter: number;
  /** Neither answered nor refused, or with another status. */
  failed: number;
  servedMs: Distribution;
  refusedMs: Distribution;
  /** Median wait of the served, in the second and in the last quarter of the time: a queue that grows shows in it. */
  earlyMs: number;
  lateMs: number;
}

/** How long it takes until a rate is found that the server cannot do any more. */
const STEP_MS = 1_000;
const FIRST_PER_SECOND = 100;
const MOST_CONNECTIONS = 2_000;

/** Finds what a server can do, then asks for several times as much. */
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
  // A little more than can be done: the server is busy all the time, and hardly anything is refused.
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

/** Of those that were answered while the load went on: what comes after it shows the queue, not the rate. */
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

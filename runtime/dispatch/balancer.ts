/** The facts about a worker that the balancer needs. */
export interface Load {
  readonly inFlight: { readonly size: number };
  /** How many exchanges the worker may have in flight. */
  readonly cap: number;
}

/**
 * Returns the least busy of the workers that are below their cap, the first of several; `null` when all are full.
 *
 * Always the first worker instead of round robin: with few requests at a time they all go to one worker, whose caches
 * are warm and whose frames carry more than one request.
 *
 * @param extra How far above its cap a worker may go.
 */
export function pickLeastBusy<W extends Load>(workers: readonly W[], extra = 0): W | null {
  let best: W | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (const worker of workers) {
    const { size } = worker.inFlight;
    if (size < least && size < worker.cap + extra) {
      best = worker;
      least = size;
    }
  }
  return best;
}

/**
 * Returns how many more exchanges than the least busy worker the last picked worker may have and still be picked.
 *
 * Requests that arrive together cost less as one frame to one worker than as two frames to two: a frame is a write, a
 * read and a switch between processes. It pays only while the exchanges ahead take hardly any time.
 *
 * @param latencyMs Average time from dispatch to answer.
 */
export function frameSlack(latencyMs: number): number {
  return latencyMs < QUICK_MS ? QUICK_SLACK : 0;
}

/** This many quick exchanges take less time one after another than one slow exchange takes. */
const QUICK_SLACK = 16;
const QUICK_MS = 1;

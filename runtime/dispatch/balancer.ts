/** What the balancer must know of a worker. */
export interface Load {
  readonly inFlight: { readonly size: number };
  /** How many it may have. */
  readonly cap: number;
}

/**
 * The least busy of the workers that are below their cap, the first of them when several are; `null` when all are full.
 *
 * The first, and not the one whose turn it is: with few requests at a time they all go to one worker, whose caches are
 * warm and whose frames carry more than one request.
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
 * How many exchanges a worker may have more than the least busy one and still be the one to stay with.
 *
 * Requests that arrive together cost less as one frame to one worker than as two frames to two: a frame is a write, a
 * read and a switch between processes. It is worth it only while the exchanges ahead take no time to speak of.
 *
 * @param latencyMs Of late, from the dispatch to the answer.
 */
export function frameSlack(latencyMs: number): number {
  return latencyMs < QUICK_MS ? QUICK_SLACK : 0;
}

/** So many quick exchanges wait for each other less long than a slow one takes. */
const QUICK_SLACK = 16;
const QUICK_MS = 1;

/** What the balancer must know of a worker. */
export interface Load {
  readonly inFlight: { readonly size: number };
}

/**
 * The least busy of the workers that are below the cap, the first of them when several are; `null` when all are full.
 *
 * The first, and not the one whose turn it is: with few requests at a time they all go to one worker, whose caches are
 * warm and whose frames carry more than one request.
 */
export function pickLeastBusy<W extends Load>(workers: readonly W[], cap: number): W | null {
  let best: W | null = null;
  let least = cap;
  for (const worker of workers) {
    if (worker.inFlight.size < least) {
      best = worker;
      least = worker.inFlight.size;
    }
  }
  return best;
}

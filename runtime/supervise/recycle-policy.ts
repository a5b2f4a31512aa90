/** Why a fresh worker should replace a ready one. `command`: an operator asks for it. */
export type RecycleReason = "requests" | "age" | "idle" | "memory" | "command";

/** When a worker is worn. 0: never for this reason. */
export interface RecycleLimits {
  /** Number of requests, and up to `requestsJitter` more, so that not all workers are worn at once. */
  readonly requests: number;
  readonly requestsJitter: number;
  /** Longest time for which a worker serves. */
  readonly ageMs: number;
  /** Longest idle time of a worker that has had work. */
  readonly idleMs: number;
  /** Most resident memory. */
  readonly memoryBytes: number;
  /** Most heap in use. */
  readonly heapBytes: number;
}

/** The facts about a ready worker. */
export interface WorkerFacts {
  readonly readyForMs: number;
  /** How many requests were dispatched to it. */
  readonly requests: number;
  /** How long no request has been in flight. */
  readonly idleForMs: number;
  /** Resident memory now; `null` if the system does not tell. */
  readonly rssBytes: number | null;
  /** Heap in use at the last pong; `null` before the first. */
  readonly heapUsedBytes: number | null;
  /** Resident memory when the worker became ready. */
  readonly rssAtFirstBytes: number | null;
  /** The worker's share of the jitter: from 0 to below 1, chosen once. */
  readonly luck: number;
}

/**
 * Returns why a worker should be recycled; `null`: it should not. Pure.
 *
 * Idle workers are recycled because of leftovers of their work: a worker without work is as good as new. A worker
 * that was too large as soon as it was ready is kept: its replacement would be as large.
 */
export function pickRecycleReason(limits: RecycleLimits, facts: WorkerFacts): RecycleReason | null {
  const { requests, requestsJitter, ageMs, idleMs } = limits;
  const { rssBytes, heapUsedBytes, rssAtFirstBytes } = facts;
  for (const [most, used] of [
    [limits.memoryBytes, rssBytes],
    [limits.heapBytes, heapUsedBytes],
  ] as const) {
    if (most === 0 || used === null || used <= most) continue;
    if (rssAtFirstBytes === null || rssAtFirstBytes <= most) return "memory";
  }
  const mostRequests = requests + Math.floor(facts.luck * (requestsJitter + 1));
  if (requests > 0 && facts.requests >= mostRequests) return "requests";
  if (ageMs > 0 && facts.readyForMs >= ageMs) return "age";
  if (idleMs > 0 && facts.requests > 0 && facts.idleForMs >= idleMs) return "idle";
  return null;
}

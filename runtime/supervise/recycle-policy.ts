/** Why a worker that serves should make way for a fresh one. */
export type RecycleReason = "requests" | "age" | "idle" | "memory";

/** When a worker is worn. 0: never for this reason. */
export interface RecycleLimits {
  /** So many requests, and up to `requestsJitter` more, so that not all workers are worn at once. */
  readonly requests: number;
  readonly requestsJitter: number;
  /** Longest that it serves. */
  readonly ageMs: number;
  /** Longest that it has nothing to do, when it has had something before. */
  readonly idleMs: number;
  /** Most memory, resident set. */
  readonly memoryBytes: number;
}

/** What is known of a worker that serves. */
export interface WorkerFacts {
  readonly readyForMs: number;
  /** How many it was given. */
  readonly requests: number;
  /** For how long it has had none in flight. */
  readonly idleForMs: number;
  /** Now; `null` where the system does not tell. */
  readonly rssBytes: number | null;
  /** When it had become ready. */
  readonly rssAtFirstBytes: number | null;
  /** Its share of the jitter: from 0 to below 1, chosen once. */
  readonly luck: number;
}

/**
 * Why a worker should be recycled; `null`: it is good. Pure.
 *
 * Idle workers are recycled for what their work left behind: one that never had any is as good as the next. One that was
 * too large as soon as it was ready would only be replaced by another that is.
 */
export function pickRecycleReason(limits: RecycleLimits, facts: WorkerFacts): RecycleReason | null {
  const { requests, requestsJitter, ageMs, idleMs, memoryBytes } = limits;
  const { rssBytes, rssAtFirstBytes } = facts;
  if (memoryBytes > 0 && rssBytes !== null && rssBytes > memoryBytes) {
    if (rssAtFirstBytes === null || rssAtFirstBytes <= memoryBytes) return "memory";
  }
  const mostRequests = requests + Math.floor(facts.luck * (requestsJitter + 1));
  if (requests > 0 && facts.requests >= mostRequests) return "requests";
  if (ageMs > 0 && facts.readyForMs >= ageMs) return "age";
  if (idleMs > 0 && facts.requests > 0 && facts.idleForMs >= idleMs) return "idle";
  return null;
}

/** What is known when an exchange has to wait for a worker. */
export interface QueueState {
  /** Exchanges that wait already. */
  queued: number;
  /** For how long the first of them has; 0 when there is none. */
  firstWaitsMs: number;
  /** Workers that are ready. */
  workers: number;
  /** Unanswered exchanges that they have together. */
  busy: number;
  /** From the dispatch to the answer, of late. */
  latencyMs: number;
}

/** Settings by the names under which they are set. */
export type QueueSetting = "queueLimit" | "queueDelay";

/**
 * Which limit forbids one more to wait, if any. Pure.
 *
 * The wait is foreseen by Little's law: what workers have, divided by how long they take for it, is how many they answer
 * per millisecond. It errs while they answer nothing at all, so how long the first one has waited counts too. While no
 * worker is ready nothing can be foreseen; they are being replaced, and what waits does so until its own timeout.
 *
 * @param limits.delayMs 0: any wait will do.
 */
export function findQueueBreach(
  state: QueueState,
  limits: { limit: number; delayMs: number },
): QueueSetting | null {
  const { queued, firstWaitsMs, workers, busy, latencyMs } = state;
  if (queued >= limits.limit) return "queueLimit";
  if (workers === 0 || limits.delayMs === 0) return null;
  if (firstWaitsMs > limits.delayMs) return "queueDelay";
  return busy > 0 && (queued * latencyMs) / busy > limits.delayMs ? "queueDelay" : null;
}

/** The state of a pool when an exchange is about to wait for a worker. */
export interface QueueState {
  /** Exchanges that wait already. */
  queued: number;
  /** How many of them go before it. */
  ahead: number;
  /** How long the first of them has waited; 0 when there is none. */
  firstWaitsMs: number;
  /** Workers that are ready. */
  workers: number;
  /** Unanswered exchanges of all these workers. */
  busy: number;
  /** Average time from dispatch to answer. */
  latencyMs: number;
}

/** Settings by their config names. */
export type QueueSetting = "queueLimit" | "queueDelay";

/**
 * Returns the limit that forbids one more exchange to wait, or `null`. Pure.
 *
 * Little's law gives the expected wait: exchanges in flight, divided by their latency, is the rate at which workers
 * answer. The law fails while workers answer nothing, so the wait of the first exchange counts too. While no worker is
 * ready, there is no estimate: replacements are starting, and exchanges wait until their own timeout.
 *
 * @param limits.delayMs Longest expected wait; 0: it does not matter.
 */
export function findQueueBreach(
  state: QueueState,
  limits: { limit: number; delayMs: number },
): QueueSetting | null {
  const { queued, ahead, firstWaitsMs, workers, busy, latencyMs } = state;
  if (queued >= limits.limit) return "queueLimit";
  if (workers === 0 || limits.delayMs === 0) return null;
  if (firstWaitsMs > limits.delayMs) return "queueDelay";
  return busy > 0 && (ahead * latencyMs) / busy > limits.delayMs ? "queueDelay" : null;
}

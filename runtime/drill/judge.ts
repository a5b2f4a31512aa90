/** The clients' view of an exercise. */
export interface Seen {
  readonly requests: number;
  /** Requests with another answer than usual, or with none. */
  readonly failed: number;
  /** Requests that were answered 503. */
  readonly refused: number;
  /** Kept-alive connections that the server closed. */
  readonly closed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The first failures, in words. */
  readonly failures: readonly string[];
}

/** The result of one exercise. */
export interface ExerciseResult {
  readonly name: string;
  readonly seen: Seen;
  /** The server's reaction, in a few words. */
  readonly note: string;
  /** Expectations that did not hold; empty: all held. */
  readonly breaches: readonly string[];
  /** The exercise could not run here, and proves nothing. */
  readonly skipped: boolean;
}

/**
 * Compares the clients' view with the expectations. Pure.
 *
 * @param mayRefuse The load may exceed the server's capacity: then 503 is a right answer.
 * @returns One line per expectation that did not hold.
 */
export function judge(seen: Seen, { mayRefuse }: { mayRefuse: boolean }): string[] {
  const { requests, failed, refused, closed, failures } = seen;
  const breaches: string[] = [];
  if (requests === 0) breaches.push("no requests were sent, so nothing is known");
  if (failed > 0) breaches.push(`${failed} requests failed: ${failures.join("; ")}`);
  if (!mayRefuse && refused > 0) breaches.push(`${refused} requests were answered 503`);
  if (closed > 0) breaches.push(`${closed} connections were closed`);
  return breaches;
}

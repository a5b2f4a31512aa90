/** What clients saw while something went wrong. */
export interface Seen {
  readonly requests: number;
  /** Another answer than usual, or none. */
  readonly failed: number;
  /** Answered 503: come again later. */
  readonly refused: number;
  /** Connections that a client kept and the server closed. */
  readonly closed: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** The first failures, in words. */
  readonly failures: readonly string[];
}

/** What came of one exercise. */
export interface ExerciseResult {
  readonly name: string;
  readonly seen: Seen;
  /** What the server did, in a few words. */
  readonly note: string;
  /** Expectations that did not hold; empty: it went as it must. */
  readonly breaches: readonly string[];
  /** It could not be done here, and says nothing. */
  readonly skipped: boolean;
}

/**
 * Holds what clients saw against what they should. Pure.
 *
 * @param mayRefuse More may be asked than the server can do: then 503 is a right answer.
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

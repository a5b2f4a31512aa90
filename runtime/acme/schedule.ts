/** Times of a certificate, Unix time. */
export interface Lifetime {
  notBeforeMs: number;
  notAfterMs: number;
}

/** Record of the attempts for one certificate. It is on disk before each attempt. */
export interface Attempts {
  /** Number of attempts since the last success. */
  failures: number;
  /** Unix time before which no attempt begins. */
  nextAttemptMs: number;
  /** `null`: the last attempt did not end, or was a success. */
  lastError: string | null;
}

export const NO_ATTEMPTS: Attempts = { failures: 0, nextAttemptMs: 0, lastError: null };

/** Share of the lifetime after which a renewal begins. */
const RENEW_AFTER = 2 / 3;

/** Largest share of the lifetime by which a renewal begins later, at random, so that servers do not renew together. */
const JITTER = 1 / 60;

/** The first wait after a failure. It doubles with each failure: the authorities allow about five in an hour. */
const FIRST_WAIT_MS = 5 * 60_000;

const MOST_WAIT_MS = 12 * 3_600_000;

/**
 * Returns the time at which the renewal of a certificate begins. A share of the lifetime suits certificates of any length.
 *
 * @param random From 0 to 1.
 */
export function toRenewalMs({ notBeforeMs, notAfterMs }: Lifetime, random: number): number {
  return notBeforeMs + (notAfterMs - notBeforeMs) * (RENEW_AFTER + random * JITTER);
}

/** Returns the record of an attempt that begins now: if the process ends within it, the next one waits. */
export function beginAttempt({ failures }: Attempts, nowMs: number): Attempts {
  const waitMs = Math.min(FIRST_WAIT_MS * 2 ** failures, MOST_WAIT_MS);
  return { failures: failures + 1, nextAttemptMs: nowMs + waitMs, lastError: null };
}

/** Returns the record of an attempt that failed. */
export function failAttempt(
  begun: Attempts,
  { nowMs, reason, retryAfterMs }: { nowMs: number; reason: string; retryAfterMs: number | null },
): Attempts {
  const wantedMs = nowMs + Math.min(retryAfterMs ?? 0, 30 * 24 * 3_600_000);
  return {
    ...begun,
    nextAttemptMs: Math.max(begun.nextAttemptMs, wantedMs),
    lastError: reason,
  };
}

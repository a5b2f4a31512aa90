/** Longest time between the abort of exchanges and the end of the grace. It is a tenth of a short grace. */
const NOTICE_MS = 1_000;

/** Returns how long before the end of a grace its exchanges are aborted, so that handlers can clean up. */
export function toNoticeMs(graceMs: number): number {
  return Math.min(NOTICE_MS, graceMs / 10);
}

/**
 * Returns the grace of a worker that retires: `drainGrace` or, where that is longer, `requestTimeout` and the time for the
 * end of its code. Exchanges are therefore never aborted before `requestTimeout` is over.
 */
export function toRetireGraceMs({
  drainGraceMs,
  requestTimeoutMs,
}: {
  drainGraceMs: number;
  requestTimeoutMs: number;
}): number {
  // A ninth of the timeout is a tenth of the sum.
  return Math.max(drainGraceMs, requestTimeoutMs + Math.min(NOTICE_MS, requestTimeoutMs / 9));
}

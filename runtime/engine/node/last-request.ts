/**
 * Longest time without a request while the listener closes. A connection that is closed at once could lose a request that
 * is on its way; a busy client sends its next one sooner, and learns from the answer that the connection ends.
 */
export const LAST_REQUEST_MS = 5_000;

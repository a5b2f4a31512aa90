/** Share of the requests that may be sent again. */
const SHARE = 0.2;

/** Most retries at once: for a server that takes its requests in flight along. */
const MOST = 1_000;

/** Retries that are possible before the first request. */
const FIRST = 100;

/** Limits the retries of a group, so that servers in trouble do not get a multiple of their requests. */
export class RetryBudget {
  #tokens = FIRST;

  /** Counts a request. */
  note(): void {
    this.#tokens = Math.min(MOST, this.#tokens + SHARE);
  }

  /** Tells whether a request may be sent again. */
  get hasRoom(): boolean {
    return this.#tokens >= 1;
  }

  /** Returns whether a request may be sent again, and counts it. */
  take(): boolean {
    if (!this.hasRoom) return false;
    this.#tokens--;
    return true;
  }
}

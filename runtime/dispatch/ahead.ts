/** Longest expected wait of an exchange behind others in a worker. */
const WAIT_MS = 4;

/** Most exchanges that a worker has in advance. */
const MOST = 48;

/** Assumed time of an exchange until the first ones are measured. With it a worker gets none in advance. */
const FIRST_MS = 100;

/**
 * How many exchanges a worker with threads gets in advance, beyond those that its threads run.
 *
 * Each exchange alone costs both sides a read, a write and a switch between processes. While exchanges take hardly any
 * time, several in one frame cost a third of that. The worker gives back exchanges that it does not come to
 * (`Kind.returned`), so that none waits for a slow one. Reads no clock: the caller passes all times.
 */
export class Ahead {
  #exchangeMs = FIRST_MS;
  #answeredMs = 0;
  /** The worker gave exchanges back, and has answered none since. */
  #isSlow = false;

  /** Number of exchanges that the worker may have in advance now. */
  get size(): number {
    return this.#isSlow ? 0 : Math.min(MOST, Math.floor(WAIT_MS / this.#exchangeMs));
  }

  /** Notes an answer to an exchange that was dispatched at `sinceMs`. */
  onAnswer(sinceMs: number, nowMs: number): void {
    // An exchange that was behind others began when the one before it ended.
    const tookMs = nowMs - Math.max(sinceMs, this.#answeredMs);
    this.#answeredMs = nowMs;
    this.#isSlow = false;
    this.#exchangeMs += (tookMs - this.#exchangeMs) / 16;
  }

  /** Notes that the worker gave exchanges back: one that it runs is slow. Its answer ends that. */
  onReturned(): void {
    this.#isSlow = true;
  }
}

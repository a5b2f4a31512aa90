/**
 * A clock whose time does not change within one turn of the event loop.
 *
 * Dozens of requests may arrive in one turn. A single system call for all of them is cheaper, and durations and
 * timeouts need no finer resolution.
 */
export class TurnClock {
  #nowMs: number | null = null;

  /** Returns `performance.now()` as of the first call in this turn. */
  now(): number {
    if (this.#nowMs === null) {
      this.#nowMs = performance.now();
      setImmediate(this.#endTurn);
    }
    return this.#nowMs;
  }

  readonly #endTurn = (): void => {
    this.#nowMs = null;
  };
}

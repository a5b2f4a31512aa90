/**
 * A clock that stands still within one turn of the event loop.
 *
 * Requests arrive dozens at a time in one turn; to ask the system for the time once for all of them is cheaper, and
 * what they want it for, durations and timeouts, is measured in turns anyway.
 */
export class TurnClock {
  #nowMs: number | null = null;

  /** `performance.now()` when it was first asked in this turn. */
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

/** Time after which the distance of the two clocks is measured again: an operator or NTP may set the system's clock. */
const REMEASURE_MS = 50;

/** Turns times of `performance.now()` into Unix times, and thereby spares a second look at a clock. */
export class WallClock {
  #offsetMs = 0;
  #measuredMs = Number.NEGATIVE_INFINITY;

  /** Returns whole milliseconds. */
  toUnixMs(nowMs: number): number {
    if (nowMs - this.#measuredMs > REMEASURE_MS) {
      this.#measuredMs = nowMs;
      this.#offsetMs = Date.now() - nowMs;
    }
    return Math.floor(nowMs + this.#offsetMs);
  }
}

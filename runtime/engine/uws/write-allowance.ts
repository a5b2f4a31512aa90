import type { TurnClock } from "../../lib/turn-clock.ts";

/**
 * Most bytes that may be written in one turn of the event loop. The library keeps written bytes in memory until the
 * client takes them. A client that pipelines thousands of requests and reads nothing would therefore fill the memory.
 * Above this bound, answers wait for the client. The library closes a connection on which a request arrives while an
 * answer waits.
 */
const WRITES_PER_TURN_BYTES = 4 * 1024 * 1024;

/** Counts the bytes that are written in one turn of the event loop, and refuses those above the bound. */
export class WriteAllowance {
  readonly #clock: TurnClock;
  #turnMs = 0;
  #writtenBytes = 0;

  constructor(clock: TurnClock) {
    this.#clock = clock;
  }

  /**
   * Counts bytes that the caller wants to write at once.
   *
   * @returns False: the bound is reached, and the bytes must be written as the client takes them.
   */
  admit(bytes: number): boolean {
    const nowMs = this.#clock.now();
    if (nowMs !== this.#turnMs) {
      this.#turnMs = nowMs;
      this.#writtenBytes = 0;
    }
    this.#writtenBytes += bytes;
    return this.#writtenBytes <= WRITES_PER_TURN_BYTES;
  }
}

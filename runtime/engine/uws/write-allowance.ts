import type { TurnClock } from "../../lib/turn-clock.ts";

/**
 * The library keeps written bytes in memory until the client takes them. A client that sends thousands of requests in
 * one piece and reads nothing would fill it. Beyond this bound, answers wait for the client, and the library closes a
 * connection on which a request comes while an answer waits.
 */
const WRITES_PER_TURN_BYTES = 4 * 1024 * 1024;

/** Counts the bytes that are written in one turn of the event loop, and tells when they are too many. */
export class WriteAllowance {
  readonly #clock: TurnClock;
  #turnMs = 0;
  #writtenBytes = 0;

  constructor(clock: TurnClock) {
    this.#clock = clock;
  }

  /** So much more is about to be written. False: it is to wait for the client. */
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

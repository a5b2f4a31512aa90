import { Waiters } from "../lib/waiters.ts";

/** Counts the requests that wait for a decision under one config. */
export class WaitingRequests {
  #count = 0;
  readonly #idle = new Waiters();

  begin(): void {
    this.#count++;
  }

  end(): void {
    this.#count--;
    if (this.#count === 0) this.#idle.release();
  }

  /** Resolves when no request waits. */
  idle(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : this.#idle.wait();
  }
}

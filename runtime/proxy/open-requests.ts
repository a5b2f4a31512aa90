import { Waiters } from "../lib/waiters.ts";

/** Counts the requests that are at upstream servers, or wait for one. */
export class OpenRequests {
  #count = 0;
  readonly #idle = new Waiters();

  get count(): number {
    return this.#count;
  }

  begin(): void {
    this.#count++;
  }

  end(): void {
    this.#count--;
    if (this.#count === 0) this.#idle.release();
  }

  /** Resolves when there are none. */
  idle(): Promise<void> {
    return this.#count === 0 ? Promise.resolve() : this.#idle.wait();
  }
}

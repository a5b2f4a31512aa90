import { Waiters } from "../lib/waiters.ts";

/** Counts the promises that handlers passed to `waitUntil`, so that a draining worker can wait for them. */
export class BackgroundWork {
  #inFlight = 0;
  #failures = 0;
  readonly #waiters = new Waiters();

  /** Number of promises that have not settled yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Number of promises that were rejected since the worker started. */
  get failures(): number {
    return this.#failures;
  }

  /** Counts `work` until it settles. `onFailure` gets the reason of a rejection, which affects nothing else. */
  add(work: unknown, onFailure: (reason: unknown) => void): void {
    this.#inFlight += 1;
    // Also takes a thenable or a plain value, as the web's own `waitUntil` does.
    Promise.resolve(work).then(
      () => this.#settle(),
      (reason: unknown) => {
        this.#failures += 1;
        onFailure(reason);
        this.#settle();
      },
    );
  }

  /** Resolves when nothing is running, work added meanwhile included. The caller sets the deadline. */
  settled(): Promise<void> {
    return this.#inFlight === 0 ? Promise.resolve() : this.#waiters.wait();
  }

  #settle(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) this.#waiters.release();
  }
}

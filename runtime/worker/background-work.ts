import { Waiters } from "../lib/waiters.ts";

/** Counts the promises that handlers passed to `waitUntil`, so that a draining worker can wait for them. */
export class BackgroundWork {
  #inFlight = 0;
  /** Routes stay with 0: there are few, and entries that come and go would cost memory. */
  readonly #byRoute = new Map<string, number>();
  #failures = 0;
  readonly #waiters = new Waiters();

  /** Number of promises that have not settled yet. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Number of promises that have not settled, by the pattern of their route; `""`: no request added them. */
  get byRoute(): Record<string, number> {
    return Object.fromEntries([...this.#byRoute].filter(([, count]) => count > 0));
  }

  /** Number of promises that were rejected since the worker started. */
  get failures(): number {
    return this.#failures;
  }

  /**
   * Counts `work` until it settles.
   *
   * @param options.route The pattern of the route whose handler added it; `""`: no request did. `onFailure` gets the reason of
   *   a rejection, which affects nothing else.
   */
  add(
    work: unknown,
    { route, onFailure }: { route: string; onFailure: (reason: unknown) => void },
  ): void {
    this.#inFlight += 1;
    this.#byRoute.set(route, (this.#byRoute.get(route) ?? 0) + 1);
    // Also takes a thenable or a plain value, as the web's own `waitUntil` does.
    Promise.resolve(work).then(
      () => this.#settle(route),
      (reason: unknown) => {
        this.#failures += 1;
        onFailure(reason);
        this.#settle(route);
      },
    );
  }

  /** Resolves when nothing is running, work added meanwhile included. The caller sets the deadline. */
  settled(): Promise<void> {
    return this.#inFlight === 0 ? Promise.resolve() : this.#waiters.wait();
  }

  #settle(route: string): void {
    this.#inFlight -= 1;
    this.#byRoute.set(route, (this.#byRoute.get(route) ?? 1) - 1);
    if (this.#inFlight === 0) this.#waiters.release();
  }
}

/** Longest part of a grace that is kept for the end of the worker's code. */
const MOST_RESERVE_MS = 500;

/**
 * The time that a draining worker has until the primary kills it. Its last part is kept for `dispose`.
 *
 * A worker that drains may be told a shorter grace, when the server stops meanwhile. Waits that have begun follow it.
 */
export class Grace {
  #deadlineMs: number;
  readonly #waits = new Set<() => void>();

  constructor(graceMs: number) {
    this.#deadlineMs = performance.now() + graceMs;
  }

  /** The rest of the grace, at least 0. */
  get leftMs(): number {
    return Math.max(0, this.#deadlineMs - performance.now());
  }

  /** Ends the grace after this time, unless it ends before. */
  shorten(graceMs: number): void {
    const deadlineMs = performance.now() + graceMs;
    if (deadlineMs >= this.#deadlineMs) return;
    this.#deadlineMs = deadlineMs;
    for (const follow of this.#waits) follow();
  }

  /** Waits until the promise settles or the last part of the grace begins. Returns whether it settled. Never rejects. */
  outlasts(promise: Promise<unknown>): Promise<boolean> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (isSettled: boolean): void => {
        clearTimeout(timer);
        this.#waits.delete(follow);
        resolve(isSettled);
      };
      const follow = (): void => {
        clearTimeout(timer);
        const { leftMs } = this;
        timer = setTimeout(end, leftMs - Math.min(MOST_RESERVE_MS, leftMs / 4), false);
      };
      this.#waits.add(follow);
      follow();
      promise.then(
        () => end(true),
        () => end(true),
      );
    });
  }
}

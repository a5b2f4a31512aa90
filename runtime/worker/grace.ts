/**
 * Longest part of a grace that is kept for `dispose`. It is a twentieth of a short grace. Work must have time between its
 * abort, a second or a tenth before the end, and this part.
 */
const MOST_RESERVE_MS = 500;

/** Part of the reserve that stays for log lines when the stores of bindings do not close. */
const LAST_WORDS_SHARE = 1 / 8;

/**
 * The time that a draining worker has until the primary kills it. Its last part is kept for `dispose`.
 *
 * A worker that drains may be told a shorter grace, when the server stops meanwhile. Waits that have begun follow it.
 */
export class Grace {
  #totalMs: number;
  #deadlineMs: number;
  readonly #waits = new Set<() => void>();

  constructor(graceMs: number) {
    this.#totalMs = graceMs;
    this.#deadlineMs = performance.now() + graceMs;
  }

  /** The whole length of the grace, as the primary told it last. */
  get totalMs(): number {
    return this.#totalMs;
  }

  /** The rest of the grace, at least 0. */
  get leftMs(): number {
    return Math.max(0, this.#deadlineMs - performance.now());
  }

  /** Ends the grace after this time, unless it ends before. */
  shorten(graceMs: number): void {
    const deadlineMs = performance.now() + graceMs;
    if (deadlineMs >= this.#deadlineMs) return;
    this.#totalMs = graceMs;
    this.#deadlineMs = deadlineMs;
    for (const follow of this.#waits) follow();
  }

  /**
   * Waits until the promise settles or the reserve for `dispose` begins. Returns whether it settled. Never rejects.
   *
   * @param options.usesReserve Wait almost until the end of the grace: the promise comes after `dispose`.
   */
  outlasts(promise: Promise<unknown>, { usesReserve = false } = {}): Promise<boolean> {
    return new Promise((resolve) => {
      let timer: NodeJS.Timeout | undefined;
      const end = (isSettled: boolean): void => {
        clearTimeout(timer);
        this.#waits.delete(follow);
        resolve(isSettled);
      };
      const follow = (): void => {
        clearTimeout(timer);
        const reserveMs = Math.min(MOST_RESERVE_MS, this.#totalMs / 20);
        const keptMs = usesReserve ? reserveMs * LAST_WORDS_SHARE : reserveMs;
        timer = setTimeout(end, Math.max(0, this.leftMs - keptMs), false);
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

/** Most remembered keys. Beyond it, the oldest one is forgotten. */
const MOST_KEYS = 10_000;

/** How long a key is remembered. Then the next request is one that others wait for. */
const REMEMBERED_MS = 60_000;

/**
 * Keys whose last answer was not for all visitors. Their visitors do not wait for each other, which would only make them
 * slower. Each answer is still stored if it may be.
 */
export class UnstoredKeys {
  /** The time at which a key is forgotten. The oldest key is first. */
  readonly #untilMs = new Map<string, number>();

  get size(): number {
    return this.#untilMs.size;
  }

  has(key: string, nowMs: number): boolean {
    if (this.#untilMs.size === 0) return false;
    const untilMs = this.#untilMs.get(key);
    if (untilMs === undefined) return false;
    // The wall clock may be set back.
    if (nowMs < untilMs && nowMs >= untilMs - REMEMBERED_MS) return true;
    this.#untilMs.delete(key);
    return false;
  }

  add(key: string, nowMs: number): void {
    this.#untilMs.delete(key);
    this.#untilMs.set(key, nowMs + REMEMBERED_MS);
    if (this.#untilMs.size <= MOST_KEYS) return;
    for (const oldest of this.#untilMs.keys()) {
      this.#untilMs.delete(oldest);
      return;
    }
  }

  delete(key: string): void {
    this.#untilMs.delete(key);
  }
}

/** Pauses between two looks at connections: while requests are in flight, and while connections only wait. */
const LONGEST_BUSY_MS = 250;
const SHORTEST_MS = 10;
const IDLE_MS = 1000;

/**
 * One timer for all connections of an upstream server, and a clock that costs nothing to read. A timer for each request
 * would cost more than the rest of its timeouts.
 *
 * The clock stands still between two looks. A time that it gave may be too early by `intervalMs`: limits add that, and
 * are never too short. They are too long by at most two intervals.
 */
export class Sweep {
  readonly #look: (nowMs: number) => "busy" | "idle" | "done";
  #intervalMs = LONGEST_BUSY_MS;
  #nowMs = performance.now();
  #timer: NodeJS.Timeout | null = null;
  #immediate: NodeJS.Immediate | null = null;
  #isSlow = false;

  /** @param look Looks at all connections. `done`: there are none. */
  constructor(look: (nowMs: number) => "busy" | "idle" | "done") {
    this.#look = look;
  }

  /** `performance.now()` as of the last look, or of the last `wake`. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Longest time by which `nowMs` is too early while requests are in flight. */
  get intervalMs(): number {
    return this.#intervalMs;
  }

  /** Looks often enough for a limit. 0: there is none. */
  fit(limitMs: number): void {
    if (limitMs <= 0) return;
    this.#intervalMs = Math.max(SHORTEST_MS, Math.min(this.#intervalMs, limitMs / 8));
  }

  /** Called when the first request is in flight. */
  wake(): void {
    this.#nowMs = performance.now();
    const isArmed = this.#timer !== null || this.#immediate !== null;
    if (isArmed && !this.#isSlow) return;
    this.#isSlow = false;
    this.#arm(this.#intervalMs);
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#immediate !== null) clearImmediate(this.#immediate);
    this.#timer = null;
    this.#immediate = null;
  }

  #arm(delayMs: number): void {
    this.stop();
    this.#timer = setTimeout(this.#onTimer, delayMs);
    this.#timer.unref();
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    // A process that had no processor for a while finds its timers due and the answers of upstreams unread. Timers come
    // first, so the look waits until the sockets have been read.
    this.#immediate = setImmediate(this.#onRead);
  };

  readonly #onRead = (): void => {
    this.#immediate = null;
    this.#nowMs = performance.now();
    const found = this.#look(this.#nowMs);
    if (found === "done" || this.#timer !== null) return;
    this.#isSlow = found === "idle";
    this.#arm(this.#isSlow ? IDLE_MS : this.#intervalMs);
  };
}

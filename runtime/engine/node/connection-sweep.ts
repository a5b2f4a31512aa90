/** Interval at which each connection is checked. */
const SWEEP_MS = 1_000;

/** Most connections that are checked in one turn of the event loop: the check of one may end it, which takes 0.1 ms. */
const CHECKS_PER_TURN = 512;

interface Checked {
  check(nowMs: number): void;
  drain(): void;
}

/** Checks regularly whether the time of a connection is over. Has no timer while there are no connections. */
export class ConnectionSweep<T extends Checked> {
  readonly #all = new Set<T>();
  readonly #onError: (error: unknown) => void;
  #timer: NodeJS.Timeout | null = null;
  #isStopped = false;

  /** @param onError Called when a check threw, which is a bug. All other connections are still checked. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  add(connection: T): void {
    this.#all.add(connection);
    this.#schedule();
  }

  delete(connection: T): void {
    this.#all.delete(connection);
  }

  /** Tells all connections to end once their requests are answered. */
  drain(): void {
    for (const connection of this.#all) {
      try {
        connection.drain();
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  /** Checks no connection any more. */
  stop(): void {
    this.#isStopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #schedule(): void {
    if (this.#timer !== null || this.#isStopped || this.#all.size === 0) return;
    this.#timer = setTimeout(() => this.#sweep([...this.#all], 0), SWEEP_MS);
    this.#timer.unref();
  }

  #sweep(connections: readonly T[], start: number): void {
    if (this.#isStopped) return;
    const nowMs = performance.now();
    const end = Math.min(connections.length, start + CHECKS_PER_TURN);
    for (const connection of connections.slice(start, end)) {
      try {
        connection.check(nowMs);
      } catch (error) {
        this.#onError(error);
      }
    }
    if (end < connections.length) {
      setImmediate(() => this.#sweep(connections, end));
      return;
    }
    this.#timer = null;
    this.#schedule();
  }
}

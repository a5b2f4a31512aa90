import { ExchangeTable, type Numbered } from "../lib/exchange-table.ts";

/** Interval at which each client with a body in transfer is checked. */
const SWEEP_MS = 1_000;

/**
 * Number of groups that are checked one after the other. Cutting off a client takes 0.1 ms. With a single group,
 * thousands of slow clients that arrive together are also cut off together. All other clients then wait: 20 ms each
 * second beside 2,000 slow clients.
 *
 * Measured with `npm run soak -- slow-clients`: p99 of the other clients, relative to a run in which the slow clients
 * use another server. With 20 groups it was 1.03 and 1.30; with 100 it was 1.04, 1.07 and 1.24.
 */
const GROUPS = 100;
const TURN_MS = SWEEP_MS / GROUPS;

/**
 * Number of sweeps between two restarts of the library's timer. This timer cuts off idle connections after 8 to 12 s. A
 * restart every 4 s leaves the decision to this server.
 */
const SWEEPS_PER_KEEP_ALIVE = 4;

/**
 * Most turns that the sweep catches up after the process was stopped. Each client is then checked at most four times,
 * once with `keepAlive`.
 */
const MOST_TURNS_BEHIND = GROUPS * SWEEPS_PER_KEEP_ALIVE;

/** A client with a body in transfer, which may be too slow. */
export interface Transferring extends Numbered {
  /**
   * Checks the client against the transfer limits, and cuts it off if it is too slow.
   *
   * @param options.keepAlive Also restarts the library's timer, so that the library does not cut off the client.
   */
  check(nowMs: number, options: { keepAlive: boolean }): void;
  /** Ends the connection at once. */
  cutOff(): void;
}

/**
 * Checks regularly whether clients with a body in transfer are too slow. Has no timer while there are no such clients.
 */
export class TransferSweep<T extends Transferring> {
  readonly #groups = Array.from({ length: GROUPS }, () => new ExchangeTable<T>());
  #timer: NodeJS.Timeout | null = null;
  readonly #onError: (error: unknown) => void;
  /** Start of the timer, from which turns are counted. */
  #sinceMs = 0;
  /** Turns that were done or skipped since then. */
  #turns = 0;

  /** @param onError Called when the check of a client threw, which is a bug. This client is cut off; all others are still checked. */
  constructor(onError: (error: unknown) => void) {
    this.#onError = onError;
  }

  add(client: T): void {
    this.#groups[client.id % GROUPS]?.add(client);
    this.#timer ??= this.#start();
  }

  delete(client: T): void {
    this.#groups[client.id % GROUPS]?.delete(client.id);
  }

  /** Stops all checks. Returns the clients with a body in transfer. */
  stop(): T[] {
    this.#pause();
    return this.#groups.flatMap((group) => [...group.values()]);
  }

  #start(): NodeJS.Timeout {
    this.#sinceMs = performance.now();
    this.#turns = 0;
    const timer = setInterval(() => this.#checkDue(), TURN_MS);
    timer.unref();
    return timer;
  }

  #pause(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** Checks all groups that are due. A busy event loop runs the timer less often, so this may be more than one. */
  #checkDue(): void {
    const nowMs = performance.now();
    const due = Math.floor((nowMs - this.#sinceMs) / TURN_MS);
    this.#turns = Math.max(this.#turns, due - MOST_TURNS_BEHIND);
    while (this.#turns < due) {
      this.#check(this.#turns++, nowMs);
      if (this.#turns % GROUPS === 0 && this.#groups.every(({ size }) => size === 0)) {
        this.#pause();
        return;
      }
    }
  }

  #check(turn: number, nowMs: number): void {
    const group = this.#groups[turn % GROUPS];
    if (group === undefined || group.size === 0) return;
    const keepAlive = Math.floor(turn / GROUPS) % SWEEPS_PER_KEEP_ALIVE === 0;
    for (const client of group.values()) {
      try {
        client.check(nowMs, { keepAlive });
      } catch (error) {
        this.#giveUp(client, error);
      }
    }
  }

  /** Cuts off a client whose check threw. Catches everything: an exception in a timer would end the process. */
  #giveUp(client: T, error: unknown): void {
    this.delete(client);
    this.#onError(error);
    try {
      client.cutOff();
    } catch (cutError) {
      this.#onError(cutError);
    }
  }
}

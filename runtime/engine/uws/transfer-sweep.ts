import { ExchangeTable, type Numbered } from "../../lib/exchange-table.ts";

/** How often each client that sends or takes a body is looked at. */
const SWEEP_MS = 1_000;

/**
 * They are looked at in so many groups, one after the other. A cut takes 0.1 ms: if thousands of slow clients come at
 * once, and so are cut at once, all others would wait for it, with one group 20 ms each second beside 2,000. Their p99,
 * against that with the crowd at another server: 1.03 and 1.30 with 20 groups; 1.04, 1.07 and 1.24 with 100
 * (`npm run soak -- slow-clients`).
 */
const GROUPS = 100;
const TURN_MS = SWEEP_MS / GROUPS;

/** The library cuts connections that stand still for 8 to 12 s. Half of that is often enough to decide first. */
const SWEEPS_PER_KEEP_ALIVE = 4;

/** After a pause of the process each client is looked at that often at most, once to say that it is ours. */
const MOST_TURNS_BEHIND = GROUPS * SWEEPS_PER_KEEP_ALIVE;

/** A client that may be too slow. */
export interface Transferring extends Numbered {
  /** @param options.keepAlive The library is to be told, too, that the client is not to be cut off yet. */
  check(nowMs: number, options: { keepAlive: boolean }): void;
  /** Ends the connection at once. */
  cutOff(): void;
}

/** Checks regularly whether the clients with bytes on their way are too slow. Has no timer while there are none. */
export class TransferSweep<T extends Transferring> {
  readonly #groups = Array.from({ length: GROUPS }, () => new ExchangeTable<T>());
  #timer: NodeJS.Timeout | null = null;
  readonly #onError: (error: unknown) => void;
  /** When its turns began to count, and how many there were. */
  #sinceMs = 0;
  #turns = 0;

  /** @param onError A bug: the check of a client threw. That client is cut off and checked no more; all others are. */
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

  /** Stops all checks. Returns the clients that still have bytes on their way. */
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

  /** As many groups as the time says: a loop with much to do has fewer turns. */
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

  /** An exception in a timer would end the process, and with it all connections. */
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

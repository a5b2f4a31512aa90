import { BoundedQueue } from "../lib/bounded-queue.ts";
import { findQueueBreach, type QueueState } from "../lib/queue-policy.ts";

/** The reason for which a request does not get a server. `down`: none has worked for longer than a request may wait. */
export type QueueRefusal = "queueLimit" | "queueDelay" | "queueTimeout" | "down";

export interface QueueLimits {
  readonly queueLimit: number;
  readonly queueDelayMs: number;
  readonly queueTimeoutMs: number;
}

/** A request that waits for a server. */
export interface Waiting<Wish, Server> {
  readonly wish: Wish;
  readonly sinceMs: number;
  readonly onEnd: (end: Server | QueueRefusal) => void;
}

export interface GroupQueueOptions<Wish, Server> {
  limits: QueueLimits;
  now: () => number;
  /** Finds a server for a request; `null`: none can take it now. */
  pick: (wish: Wish) => Server | null;
  /** Tells whether other servers may take requests that this one cannot give to any. */
  isChoosy: (wish: Wish) => boolean;
}

/** Requests that wait for a server of a group, in their order. Each ends once: with a server, a refusal, or `cancel`. */
export class GroupQueue<Wish, Server extends object> {
  readonly #options: GroupQueueOptions<Wish, Server>;
  #limits: QueueLimits;
  readonly #queue: BoundedQueue<Waiting<Wish, Server>>;
  #timer: NodeJS.Timeout | null = null;
  #isServing = false;

  constructor(options: GroupQueueOptions<Wish, Server>) {
    this.#options = options;
    this.#limits = options.limits;
    // The limit may change with a reload, so `push` checks it.
    this.#queue = new BoundedQueue(Infinity);
  }

  get size(): number {
    return this.#queue.size;
  }

  /** Applies the next config, also to the requests that wait. */
  use(limits: QueueLimits): void {
    this.#limits = limits;
    // In a later turn: the callers of a reload must not be called back within it.
    if (this.#timer !== null) this.#wake(0);
  }

  /** Returns the function that ends the wait, or the setting that forbids it. */
  push(
    wish: Wish,
    onEnd: Waiting<Wish, Server>["onEnd"],
    state: Pick<QueueState, "workers" | "busy" | "latencyMs">,
  ): (() => void) | QueueRefusal {
    const nowMs = this.#options.now();
    const first = this.#queue.peek();
    const firstWaitsMs = first === undefined ? 0 : nowMs - first.sinceMs;
    const { queueLimit: limit, queueDelayMs: delayMs } = this.#limits;
    const queued = this.#queue.size;
    const full = { ...state, queued, ahead: queued, firstWaitsMs };
    const breach = findQueueBreach(full, { limit, delayMs });
    if (breach !== null) return breach;
    const waiting = { wish, sinceMs: nowMs, onEnd };
    this.#queue.push(waiting);
    if (this.#timer === null) this.#watch(nowMs);
    return () => this.#queue.remove(waiting);
  }

  /** Gives requests to the servers that can take some. */
  serve(): void {
    if (this.#queue.size === 0 || this.#isServing) return;
    this.#isServing = true;
    try {
      for (const waiting of this.#queue) {
        const server = this.#options.pick(waiting.wish);
        if (server === null) {
          if (this.#options.isChoosy(waiting.wish)) continue;
          return;
        }
        this.#queue.remove(waiting);
        waiting.onEnd(server);
      }
    } finally {
      this.#isServing = false;
    }
  }

  /** Refuses all requests. */
  clear(reason: QueueRefusal): void {
    this.#stopWatching();
    for (const waiting of this.#queue) {
      this.#queue.remove(waiting);
      waiting.onEnd(reason);
    }
  }

  /** Refuses the requests that have waited for too long, and comes back for the next one. */
  #watch(nowMs: number): void {
    this.#stopWatching();
    for (;;) {
      const first = this.#queue.peek();
      if (first === undefined) return;
      const leftMs = first.sinceMs + this.#limits.queueTimeoutMs - nowMs;
      if (leftMs > 0) {
        this.#wake(Math.ceil(leftMs));
        return;
      }
      this.#queue.remove(first);
      first.onEnd("queueTimeout");
    }
  }

  #wake(ms: number): void {
    this.#stopWatching();
    this.#timer = setTimeout(() => this.#watch(this.#options.now()), ms);
  }

  #stopWatching(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }
}

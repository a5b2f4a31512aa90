import type { Exchange } from "./exchange.ts";
import type { Lanes } from "./lanes.ts";
import { findQueueBreach, type QueueSetting } from "../lib/queue-policy.ts";
import { BoundedQueue } from "../lib/bounded-queue.ts";

/** Most reserved exchanges that wait. */
const RESERVED_LIMIT = 100;

/** Exchanges that wait for any worker, the reserved ones first. Exactly these are in the state `queued`. */
export class WaitingLine {
  readonly #limits: { limit: number; delayMs: number };
  readonly #queue: BoundedQueue<Exchange>;
  readonly #reserved = new BoundedQueue<Exchange>(RESERVED_LIMIT);

  /** @param options `queueDelayMs`: longest expected wait of a new exchange; 0: the expected wait does not matter. */
  constructor({ queueLimit, queueDelayMs }: { queueLimit: number; queueDelayMs: number }) {
    this.#limits = { limit: queueLimit, delayMs: queueDelayMs };
    this.#queue = new BoundedQueue(queueLimit);
  }

  get size(): number {
    return this.#queue.size + this.#reserved.size;
  }

  /** Number of waiting exchanges that are not reserved. */
  get queued(): number {
    return this.#queue.size;
  }

  get reserved(): number {
    return this.#reserved.size;
  }

  /** When the oldest exchange began to wait; `Infinity`: none waits. */
  get sinceMs(): number {
    return Math.min(
      this.#reserved.peek()?.sinceMs ?? Infinity,
      this.#queue.peek()?.sinceMs ?? Infinity,
    );
  }

  /** The first exchange that is not reserved. */
  peek(): Exchange | undefined {
    return this.#queue.peek();
  }

  /** Queues an exchange. Returns the setting that forbids it, or `null`. */
  push(exchange: Exchange, lanes: Lanes, nowMs: number): QueueSetting | null {
    const breach = exchange.reserved ? null : this.#findBreach(lanes, nowMs);
    if (breach !== null) return breach;
    if (!this.#queueOf(exchange).push(exchange)) return "queueLimit";
    exchange.state = "queued";
    exchange.sinceMs = nowMs;
    return null;
  }

  shift(): Exchange | undefined {
    return this.#queue.shift();
  }

  shiftReserved(): Exchange | undefined {
    return this.#reserved.shift();
  }

  remove(exchange: Exchange): void {
    this.#queueOf(exchange).remove(exchange);
  }

  /** Calls `end` with each exchange that began to wait before `beforeMs`. `end` must remove it. */
  drain(beforeMs: number, end: (exchange: Exchange) => void): void {
    for (const queue of [this.#reserved, this.#queue]) {
      for (
        let next = queue.peek();
        next !== undefined && next.sinceMs < beforeMs;
        next = queue.peek()
      ) {
        end(next);
      }
    }
  }

  #findBreach({ ready, latencyMs }: Lanes, nowMs: number): QueueSetting | null {
    const first = this.#queue.peek();
    let busy = 0;
    for (const lane of ready) busy += lane.busy;
    const state = {
      queued: this.#queue.size,
      firstWaitsMs: first === undefined ? 0 : nowMs - first.sinceMs,
      workers: ready.length,
      busy,
      latencyMs,
    };
    return findQueueBreach(state, this.#limits);
  }

  #queueOf(exchange: Exchange): BoundedQueue<Exchange> {
    return exchange.reserved ? this.#reserved : this.#queue;
  }
}

import type { Exchange } from "./exchange.ts";
import type { Lanes } from "./lanes.ts";
import { findQueueBreach, type QueueSetting } from "./queue-policy.ts";
import { BoundedQueue } from "./queue.ts";

/** Reserved exchanges that may wait. */
const RESERVED_LIMIT = 100;

/** Exchanges that wait for any worker, the reserved ones first. Each of them is `queued`, and no other one is. */
export class WaitingLine {
  readonly #limits: { limit: number; delayMs: number };
  readonly #queue: BoundedQueue<Exchange>;
  readonly #reserved = new BoundedQueue<Exchange>(RESERVED_LIMIT);

  /** @param options `queueDelayMs`: longest that one is let wait, as far as that can be foreseen. 0: any wait will do. */
  constructor({ queueLimit, queueDelayMs }: { queueLimit: number; queueDelayMs: number }) {
    this.#limits = { limit: queueLimit, delayMs: queueDelayMs };
    this.#queue = new BoundedQueue(queueLimit);
  }

  get size(): number {
    return this.#queue.size + this.#reserved.size;
  }

  /** Of those that are not reserved. */
  get queued(): number {
    return this.#queue.size;
  }

  get reserved(): number {
    return this.#reserved.size;
  }

  /** Since when the one that has waited longest has; `Infinity`: none waits. */
  get sinceMs(): number {
    return Math.min(
      this.#reserved.peek()?.sinceMs ?? Infinity,
      this.#queue.peek()?.sinceMs ?? Infinity,
    );
  }

  /** The first of those that are not reserved. */
  peek(): Exchange | undefined {
    return this.#queue.peek();
  }

  /** Lets it wait. Returns the setting that forbids it, if one does. */
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

  /** Calls with each that has waited since before that moment, which is to remove it. */
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

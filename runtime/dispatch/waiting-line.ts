import type { Exchange } from "./exchange.ts";
import type { Lanes } from "./lanes.ts";
import { findQueueBreach, type QueueSetting } from "../lib/queue-policy.ts";
import { BoundedQueue } from "../lib/bounded-queue.ts";
import { toNetwork } from "../lib/to-network.ts";
import { type Origin, Turns } from "./turns.ts";

/** Most reserved exchanges that wait. */
const RESERVED_LIMIT = 100;

/**
 * Exchanges that wait for any worker. The reserved ones go first, in their order. Among the others, addresses and their
 * connections take turns (decisions/084). Exactly these exchanges are in the state `queued`.
 */
export class WaitingLine {
  readonly #limits: { limit: number; delayMs: number };
  readonly #queue = new Turns<Exchange>();
  readonly #reserved = new BoundedQueue<Exchange>(RESERVED_LIMIT);

  /** @param options `queueDelayMs`: longest expected wait of a new exchange; 0: the expected wait does not matter. */
  constructor({ queueLimit, queueDelayMs }: { queueLimit: number; queueDelayMs: number }) {
    this.#limits = { limit: queueLimit, delayMs: queueDelayMs };
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
      this.#queue.oldest?.sinceMs ?? Infinity,
    );
  }

  /** The first reserved exchange. */
  get nextReserved(): Exchange | undefined {
    return this.#reserved.peek();
  }

  /** The exchange whose turn is next, of those that are not reserved. */
  get next(): Exchange | undefined {
    return this.#queue.next;
  }

  /** The exchange that has waited for the longest time, of those that are not reserved. */
  get oldest(): Exchange | undefined {
    return this.#queue.oldest;
  }

  /** Queues an exchange. Returns the setting that forbids it, or `null`. */
  push(exchange: Exchange, lanes: Lanes, nowMs: number): QueueSetting | null {
    if (exchange.reserved) {
      if (!this.#reserved.push(exchange)) return "queueLimit";
    } else {
      const origin = originOf(exchange);
      const breach = this.#findBreach(origin, lanes, nowMs);
      if (breach !== null) return breach;
      this.#queue.push(exchange, origin, nowMs);
    }
    exchange.state = "queued";
    exchange.sinceMs = nowMs;
    return null;
  }

  /** Takes the exchange whose turn is next. */
  shift(nowMs: number): Exchange | undefined {
    return this.#queue.shift(nowMs);
  }

  shiftReserved(): Exchange | undefined {
    return this.#reserved.shift();
  }

  remove(exchange: Exchange): void {
    if (exchange.reserved) this.#reserved.remove(exchange);
    else this.#queue.remove(exchange);
  }

  /** Calls `end` with each exchange that began to wait before `beforeMs`. `end` must remove it. */
  drain(beforeMs: number, end: (exchange: Exchange) => void): void {
    for (const oldest of [() => this.#reserved.peek(), () => this.#queue.oldest]) {
      for (let next = oldest(); next !== undefined && next.sinceMs < beforeMs; next = oldest()) {
        end(next);
      }
    }
  }

  #findBreach(origin: Origin, { ready, latencyMs }: Lanes, nowMs: number): QueueSetting | null {
    const { ahead, waitsMs } = this.#queue.outlook(origin, nowMs);
    let busy = 0;
    for (const lane of ready) busy += lane.busy;
    const state = {
      queued: this.#queue.size,
      ahead,
      firstWaitsMs: waitsMs,
      workers: ready.length,
      busy,
      latencyMs,
    };
    return findQueueBreach(state, this.#limits);
  }
}

function originOf(exchange: Exchange): Origin {
  const { client } = exchange;
  return {
    address: toNetwork(client.head.clientAddress),
    connection: client.connection ?? exchange,
  };
}

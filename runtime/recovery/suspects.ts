import type { Exchange } from "../dispatch/exchange.ts";
import type { Fingerprint } from "./fingerprint.ts";
import { fingerprintOf } from "./quarantine.ts";

/** The common key of suspects that are alike. An exchange without a fingerprint is only like itself. */
type Likeness = Fingerprint | Exchange;

/** A bounded queue of suspects, in order of arrival. Knows which of them are alike. */
export class Suspects {
  readonly #limit: number;
  readonly #waiting = new Map<Exchange, Likeness>();
  /** Groups of suspects that are alike, none of them empty. */
  readonly #alike = new Map<Likeness, Set<Exchange>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** Iterates in order. Leaves out suspects that are removed meanwhile. */
  [Symbol.iterator](): Iterator<Exchange> {
    return this.#waiting.keys();
  }

  /** Adds a suspect. Returns false, and adds nothing, when the queue is full. */
  push(exchange: Exchange): boolean {
    if (this.#waiting.size >= this.#limit) return false;
    const likeness = fingerprintOf(exchange) ?? exchange;
    const alike = this.#alike.get(likeness);
    this.#waiting.set(exchange, likeness);
    if (alike === undefined) this.#alike.set(likeness, new Set([exchange]));
    else alike.add(exchange);
    return true;
  }

  /** Returns the suspect that has waited longest. */
  peek(): Exchange | undefined {
    return this.#waiting.keys().next().value;
  }

  /**
   * Removes and returns the suspect to run next: the first one of the largest group. Its result decides for the
   * whole group. Without this rule, a popular page that was in flight when a worker was lost would wait for all its
   * neighbours.
   */
  shift(): Exchange | undefined {
    let most: ReadonlySet<Exchange> = new Set();
    for (const alike of this.#alike.values()) if (alike.size > most.size) most = alike;
    const [first] = most;
    if (first !== undefined) this.remove(first);
    return first;
  }

  remove(exchange: Exchange): void {
    const likeness = this.#waiting.get(exchange);
    if (likeness === undefined) return;
    this.#waiting.delete(exchange);
    const alike = this.#alike.get(likeness);
    alike?.delete(exchange);
    if (alike?.size === 0) this.#alike.delete(likeness);
  }

  /** Returns the waiting suspects that are like this exchange. */
  like(exchange: Exchange): Exchange[] {
    return [...(this.#alike.get(fingerprintOf(exchange) ?? exchange) ?? [])];
  }
}

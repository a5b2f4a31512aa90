import type { Exchange } from "./exchange.ts";
import type { Fingerprint } from "./fingerprint.ts";
import { fingerprintOf } from "./quarantine.ts";

/** What those that are alike have in common; one that cannot be recognised is only like itself. */
type Likeness = Fingerprint | Exchange;

/** Suspects that wait, so many at most, in the order in which they came, and which of them are alike. */
export class Suspects {
  readonly #limit: number;
  readonly #waiting = new Map<Exchange, Likeness>();
  /** None of them is empty. The one with the first suspect is first, as long as that waits. */
  readonly #alike = new Map<Likeness, Set<Exchange>>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** In order. What is removed meanwhile is left out. */
  [Symbol.iterator](): Iterator<Exchange> {
    return this.#waiting.keys();
  }

  /** False when it is full: nothing was added. */
  push(exchange: Exchange): boolean {
    if (this.#waiting.size >= this.#limit) return false;
    const likeness = fingerprintOf(exchange) ?? exchange;
    const alike = this.#alike.get(likeness);
    this.#waiting.set(exchange, likeness);
    if (alike === undefined) this.#alike.set(likeness, new Set([exchange]));
    else alike.add(exchange);
    return true;
  }

  /** The one that has waited longest. */
  peek(): Exchange | undefined {
    return this.#waiting.keys().next().value;
  }

  /**
   * The one to run next: all that are like it wait for what becomes of it, so the largest group is first. Otherwise a
   * popular page that was there when a worker was lost would have to wait for all that were.
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

  /** Those that wait and are like this one, which need not wait. */
  like(exchange: Exchange): Exchange[] {
    return [...(this.#alike.get(fingerprintOf(exchange) ?? exchange) ?? [])];
  }
}

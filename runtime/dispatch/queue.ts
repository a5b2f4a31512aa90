/**
 * A first-in first-out queue with a bound. Taking from the front and removing from the middle cost the same whatever
 * its length.
 */
export class BoundedQueue<T> {
  readonly #limit: number;
  // A Set keeps the order of insertion and removes any member at once.
  readonly #items = new Set<T>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#items.size;
  }

  /** False when it is full: nothing was added. */
  push(item: T): boolean {
    if (this.#items.size >= this.#limit) return false;
    this.#items.add(item);
    return true;
  }

  /** In order. What is removed meanwhile is left out. */
  [Symbol.iterator](): Iterator<T> {
    return this.#items.values();
  }

  peek(): T | undefined {
    return this.#items.values().next().value;
  }

  shift(): T | undefined {
    const first = this.peek();
    if (first !== undefined) this.#items.delete(first);
    return first;
  }

  remove(item: T): void {
    this.#items.delete(item);
  }
}

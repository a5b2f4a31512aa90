/**
 * A bounded first-in first-out queue. Taking from the front and removing from the middle take constant time.
 */
export class BoundedQueue<T> {
  readonly #limit: number;
  // A Set keeps the order of insertion, and removes any member in constant time.
  readonly #items = new Set<T>();

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#items.size;
  }

  /** Adds an item. Returns false, and adds nothing, when the queue is full. */
  push(item: T): boolean {
    if (this.#items.size >= this.#limit) return false;
    this.#items.add(item);
    return true;
  }

  /** Iterates in order. Leaves out items that are removed meanwhile. */
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

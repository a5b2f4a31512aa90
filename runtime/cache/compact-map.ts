/**
 * A map for which one entry is the rule: it takes a `Map` for more. A `Map` with one entry takes 200 bytes and a look-up in
 * other memory, and a cache has three such maps for each URL.
 */
export class CompactMap<V> {
  #key = "";
  #value: V | null = null;
  #more: Map<string, V> | null = null;

  get size(): number {
    return (this.#value === null ? 0 : 1) + (this.#more?.size ?? 0);
  }

  get(key: string): V | undefined {
    if (this.#value !== null && this.#key === key) return this.#value;
    return this.#more?.get(key);
  }

  set(key: string, value: V): void {
    if (this.#value === null ? this.#more?.has(key) !== true : this.#key === key) {
      this.#key = key;
      this.#value = value;
    } else {
      this.#more ??= new Map();
      this.#more.set(key, value);
    }
  }

  delete(key: string): void {
    if (this.#value !== null && this.#key === key) {
      this.#key = "";
      this.#value = null;
    } else this.#more?.delete(key);
  }

  *values(): Generator<V> {
    if (this.#value !== null) yield this.#value;
    if (this.#more !== null) yield* this.#more.values();
  }
}

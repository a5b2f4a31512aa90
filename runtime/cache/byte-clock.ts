/** An element of a `ByteClock`. */
export interface Weighted {
  readonly weightBytes: number;
  /** Set by each use. */
  isRecentlyUsed: boolean;
}

/**
 * Keeps elements within a limit in bytes. When they exceed it, removes the oldest one that was not used since it was last
 * passed over (second chance, also called CLOCK). A use costs one store to a field.
 */
export class ByteClock<T extends Weighted> {
  readonly #limitBytes: () => number;
  readonly #onEvict: (element: T) => void;
  readonly #elements = new Set<T>();
  #totalBytes = 0;

  /**
   * @param limitBytes Asked each time, since the limit may depend on other memory.
   * @param onEvict Called after an element was removed to make room, not by `delete`.
   */
  constructor(limitBytes: () => number, onEvict: (element: T) => void) {
    this.#limitBytes = limitBytes;
    this.#onEvict = onEvict;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  get size(): number {
    return this.#elements.size;
  }

  /** Adds an element and makes room for it. It may itself be removed, if it alone exceeds the limit. */
  add(element: T): void {
    if (this.#elements.has(element)) return;
    this.#elements.add(element);
    this.#totalBytes += element.weightBytes;
    this.makeRoom();
  }

  delete(element: T): boolean {
    if (!this.#elements.delete(element)) return false;
    this.#totalBytes -= element.weightBytes;
    return true;
  }

  /** Removes elements until the rest is within the limit. */
  makeRoom(): void {
    // An element that was used comes again at the end of the loop, without its mark. So the loop ends.
    for (const element of this.#elements) {
      if (this.#totalBytes <= this.#limitBytes()) return;
      if (element.isRecentlyUsed) {
        element.isRecentlyUsed = false;
        this.#elements.delete(element);
        this.#elements.add(element);
      } else {
        this.delete(element);
        this.#onEvict(element);
      }
    }
  }
}

import { StoreError } from "./store.ts";

/** The operations of a store that have not ended. */
export class InFlight {
  readonly #operations = new Set<Promise<unknown>>();
  #isClosed = false;

  /**
   * Runs an operation.
   *
   * @throws StoreError once it is closed.
   */
  async run<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#isClosed) throw new StoreError("Cannot use the store: it is closed");
    const own = operation();
    this.#operations.add(own);
    try {
      return await own;
    } finally {
      this.#operations.delete(own);
    }
  }

  /** Refuses new operations, and resolves when the others have ended. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.allSettled(this.#operations);
  }
}

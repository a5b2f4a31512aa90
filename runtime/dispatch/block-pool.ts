/** Size of a block: as much as a worker sends of a body at a time. */
export const BLOCK_BYTES = 64 * 1024;

/** What is kept for the next burst; what is more is left to the collector. */
const MOST_FREE_BLOCKS = 64;

/**
 * Blocks of memory that are used again: memory outside of V8's heap costs a collection of all of it for each few dozens of
 * MiB that are new (decision 028).
 */
export class BlockPool {
  readonly #free: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(BLOCK_BYTES);
  }

  /** Nobody must read it any more. One that is never given back is collected as anything else. */
  give(block: Uint8Array): void {
    if (this.#free.length < MOST_FREE_BLOCKS) this.#free.push(block);
  }
}

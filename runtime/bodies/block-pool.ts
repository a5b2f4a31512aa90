/** Size of a block: the largest chunk that a worker sends of a body. */
export const BLOCK_BYTES = 64 * 1024;

/** Free blocks that are kept for the next burst. The garbage collector gets the rest. */
const MOST_FREE_BLOCKS = 64;

/**
 * Reusable blocks of memory. For each few dozen MiB of new memory outside its heap, V8 collects that whole heap
 * (decision 028).
 */
export class BlockPool {
  readonly #free: Uint8Array[] = [];

  take(): Uint8Array {
    return this.#free.pop() ?? new Uint8Array(BLOCK_BYTES);
  }

  /** Returns a block that is not read any more. A block that is never given back is garbage-collected as usual. */
  give(block: Uint8Array): void {
    if (this.#free.length < MOST_FREE_BLOCKS) this.#free.push(block);
  }
}

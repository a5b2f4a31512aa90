import type { BlockPool } from "./block-pool.ts";

/** Smaller rests are copied to memory of their exact size: many small queues must not take a block each. */
const LEAST_BYTES = 16 * 1024;

interface Entry {
  readonly memory: Uint8Array;
  /** Where the used part of the memory ends. */
  end: number;
  /** The memory belongs to the pool. */
  readonly isBlock: boolean;
}

/** A byte queue in pooled memory. `take` chooses the size of the pieces. */
export class BlockQueue {
  readonly #pool: BlockPool;
  readonly #entries: Entry[] = [];
  /** How much of the first entry was taken. */
  #offset = 0;
  #bytes = 0;
  /** The block of the last piece that was taken. */
  #lent: Uint8Array | null = null;

  constructor(pool: BlockPool) {
    this.#pool = pool;
  }

  /** Number of bytes in the queue. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a copy of the bytes: the caller may change them afterwards. */
  push(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    let at = this.#fillUp(bytes);
    while (bytes.length - at >= LEAST_BYTES) {
      const memory = this.#pool.take();
      const end = Math.min(memory.length, bytes.length - at);
      memory.set(bytes.subarray(at, at + end));
      this.#entries.push({ memory, end, isBlock: true });
      at += end;
    }
    if (at === bytes.length) return;
    const memory = Buffer.from(bytes.subarray(at));
    this.#entries.push({ memory, end: memory.length, isBlock: false });
  }

  /**
   * Returns the next bytes, 1 to `maxBytes`, as far as they are contiguous; `null` when the queue is empty. They are
   * valid until the next call of `take` or `clear`.
   */
  take(maxBytes: number): Uint8Array | null {
    this.#giveBack();
    const [first] = this.#entries;
    if (first === undefined) return null;
    const end = Math.min(first.end, this.#offset + maxBytes);
    const piece = first.memory.subarray(this.#offset, end);
    this.#bytes -= piece.length;
    this.#offset = end;
    if (end === first.end) {
      this.#entries.shift();
      this.#offset = 0;
      if (first.isBlock) this.#lent = first.memory;
    }
    return piece;
  }

  /** Returns all bytes in one piece, which belongs to the caller. */
  takeAll(): Uint8Array {
    const [first] = this.#entries;
    if (this.#entries.length === 1 && first?.isBlock === false) {
      const rest = first.memory.subarray(this.#offset);
      this.clear();
      return rest;
    }
    const all = Buffer.allocUnsafeSlow(this.#bytes);
    let at = 0;
    for (let piece = this.take(Infinity); piece !== null; piece = this.take(Infinity)) {
      all.set(piece, at);
      at += piece.length;
    }
    this.clear();
    return all;
  }

  clear(): void {
    this.#giveBack();
    for (const { memory, isBlock } of this.#entries) if (isBlock) this.#pool.give(memory);
    this.#entries.length = 0;
    this.#offset = 0;
    this.#bytes = 0;
  }

  /** Fills the free part of the last block. Returns how many bytes it took. */
  #fillUp(bytes: Uint8Array): number {
    const last = this.#entries.at(-1);
    if (last?.isBlock !== true) return 0;
    const size = Math.min(last.memory.length - last.end, bytes.length);
    last.memory.set(bytes.subarray(0, size), last.end);
    last.end += size;
    return size;
  }

  #giveBack(): void {
    if (this.#lent !== null) this.#pool.give(this.#lent);
    this.#lent = null;
  }
}

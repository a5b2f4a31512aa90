import type { BlockPool } from "./block-pool.ts";

/** Smaller rests are copied to memory of their exact size: many small queues must not take a block each. */
const LEAST_BYTES = 16 * 1024;

interface Entry {
  readonly memory: Uint8Array;
  /** Where the used part of the memory ends. */
  end: number;
  /** Whether the memory belongs to the pool. */
  readonly isBlock: boolean;
}

/** Most pieces that `peek` returns: below the limit of one system call, 1024 (`IOV_MAX`). */
const MOST_PIECES = 256;

/** A byte queue in pooled memory. `take` chooses the size of the pieces. */
export class BlockQueue {
  readonly #pool: BlockPool;
  readonly #entries: Entry[] = [];
  /** How much of the first entry has left the queue. */
  #offset = 0;
  #bytes = 0;
  /** The block of the last piece that was taken, once it has left the queue. */
  #lent: Uint8Array | null = null;
  /** The last piece that was taken is a part of the first entry. */
  #lendsFirst = false;

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
   * valid until the next call of `take`, `release` or `clear`.
   */
  take(maxBytes: number): Uint8Array | null {
    this.release();
    const [first] = this.#entries;
    if (first === undefined) return null;
    const piece = first.memory.subarray(this.#offset, Math.min(first.end, this.#offset + maxBytes));
    this.#lendsFirst = true;
    this.drop(piece.length);
    return piece;
  }

  /** Returns the next bytes without taking them, at most `maxBytes`, in several pieces. They are valid until `drop`. */
  peek(maxBytes: number): Uint8Array[] {
    const pieces: Uint8Array[] = [];
    let start = this.#offset;
    let left = maxBytes;
    for (const { memory, end } of this.#entries) {
      if (left <= 0 || pieces.length === MOST_PIECES) break;
      const piece = memory.subarray(start, Math.min(end, start + left));
      pieces.push(piece);
      left -= piece.length;
      start = 0;
    }
    return pieces;
  }

  /**
   * Removes the next bytes. The piece that was taken last stays valid.
   *
   * @param pool Gets the blocks instead of the queue's pool.
   */
  drop(bytes: number, pool: Pick<BlockPool, "give"> = this.#pool): void {
    this.#bytes -= bytes;
    this.#offset += bytes;
    for (let first = this.#entries[0]; first !== undefined; first = this.#entries[0]) {
      if (this.#offset < first.end) return;
      this.#offset -= first.end;
      this.#entries.shift();
      if (first.isBlock && this.#lendsFirst) this.#lent = first.memory;
      else if (first.isBlock) pool.give(first.memory);
      this.#lendsFirst = false;
    }
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
    this.release();
    this.drop(this.#bytes);
  }

  /** Gives back the piece of the last `take`. */
  release(): void {
    if (this.#lent !== null) this.#pool.give(this.#lent);
    this.#lent = null;
    this.#lendsFirst = false;
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
}

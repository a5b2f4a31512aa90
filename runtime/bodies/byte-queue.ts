/** A byte queue that copies nothing. `take` chooses the size of the pieces. */
export class ByteQueue {
  readonly #chunks: Uint8Array[] = [];
  /** How much of the first chunk was taken. */
  #offset = 0;
  #bytes = 0;

  /** Number of bytes in the queue. */
  get bytes(): number {
    return this.#bytes;
  }

  push(chunk: Uint8Array): void {
    if (chunk.length === 0) return;
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
  }

  /** Returns the next bytes, 1 to `maxBytes`, as far as they are contiguous; `null` when the queue is empty. */
  take(maxBytes: number): Uint8Array | null {
    const first = this.#chunks[0];
    if (first === undefined) return null;
    const end = Math.min(first.length, this.#offset + maxBytes);
    const piece = first.subarray(this.#offset, end);
    this.#bytes -= piece.length;
    this.#offset = end;
    if (end === first.length) {
      this.#chunks.shift();
      this.#offset = 0;
    }
    return piece;
  }

  /** Returns all bytes in one piece. */
  takeAll(): Uint8Array {
    const [first, second] = this.#chunks;
    if (first === undefined) return new Uint8Array(0);
    const rest = first.subarray(this.#offset);
    const all = second === undefined ? rest : Buffer.concat([rest, ...this.#chunks.slice(1)]);
    this.clear();
    return all;
  }

  clear(): void {
    this.#chunks.length = 0;
    this.#offset = 0;
    this.#bytes = 0;
  }
}

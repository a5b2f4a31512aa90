/** Bytes around a chunk: its size in hexadecimal digits and two line ends. */
const CHUNK_OVERHEAD = 16;

/** Largest piece that is copied at once. */
export const PIECE_BYTES = 65_536;

/** Node has a pool for smaller buffers. */
const SMALL_BYTES = 4096;

const CR_LF = "\r\n";

/**
 * Copies lent bytes for a socket. A socket that took all bytes at once gives the memory back, and the next piece reuses
 * it: a large body then needs no new memory.
 */
export class CopyBuffer {
  #free: Buffer | null = null;

  /** Returns a copy of at most `PIECE_BYTES` bytes; as a chunk (RFC 9112 section 7.1) if asked. */
  copy(bytes: Uint8Array, { asChunk }: { asChunk: boolean }): Buffer {
    const size = bytes.length + (asChunk ? CHUNK_OVERHEAD : 0);
    const buffer = this.#allocate(size);
    if (!asChunk) {
      buffer.set(bytes);
      return buffer.subarray(0, bytes.length);
    }
    const start = buffer.write(`${bytes.length.toString(16)}${CR_LF}`, "latin1");
    buffer.set(bytes, start);
    const end = start + bytes.length;
    return buffer.subarray(0, end + buffer.write(CR_LF, end, "latin1"));
  }

  /** Takes the memory of a copy back: nothing refers to its bytes any more. */
  giveBack(copy: Buffer): void {
    if (copy.buffer.byteLength === PIECE_BYTES + CHUNK_OVERHEAD)
      this.#free ??= Buffer.from(copy.buffer);
  }

  #allocate(size: number): Buffer {
    if (size <= SMALL_BYTES) return Buffer.allocUnsafe(size);
    const buffer = this.#free ?? Buffer.allocUnsafeSlow(PIECE_BYTES + CHUNK_OVERHEAD);
    this.#free = null;
    return buffer;
  }
}

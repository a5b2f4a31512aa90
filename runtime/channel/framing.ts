import { RuntimeError } from "../errors.ts";

/** A frame on the wire: its length in 4 bytes, least significant first, then that many bytes. */
export const LENGTH_BYTES = 4;

/**
 * Cuts a byte stream into frames, wherever the stream was split.
 *
 * A frame that arrives in one piece is handed out as a view of that piece; one that spans pieces is gathered in a
 * buffer of its exact size, so each byte is copied once however many pieces there are.
 */
export class FrameReader {
  #maxFrameBytes: number;
  /** Of a frame whose length is not complete yet. */
  readonly #length = Buffer.alloc(LENGTH_BYTES);
  #lengthBytes = 0;
  #frame: Buffer | null = null;
  #frameBytes = 0;

  constructor(options: { maxFrameBytes: number }) {
    this.#maxFrameBytes = options.maxFrameBytes;
  }

  /** From the next frame on. */
  set maxFrameBytes(bytes: number) {
    this.#maxFrameBytes = bytes;
  }

  /**
   * Takes the next bytes of the stream and calls `onFrame` for each frame they complete, in order.
   *
   * @throws RuntimeError `ERR_PROTOCOL` when a frame announces more than `maxFrameBytes`; the stream is then useless.
   */
  push(bytes: Buffer, onFrame: (frame: Buffer) => void): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#frame !== null) {
        at += this.#gather(this.#frame, bytes, at);
        if (this.#frameBytes < this.#frame.length) return;
        const frame = this.#frame;
        this.#frame = null;
        onFrame(frame);
        continue;
      }
      if (this.#lengthBytes === 0 && bytes.length - at >= LENGTH_BYTES) {
        const length = this.#check(bytes.readUInt32LE(at));
        at += LENGTH_BYTES;
        if (bytes.length - at >= length) {
          onFrame(bytes.subarray(at, at + length));
          at += length;
        } else {
          this.#begin(length, onFrame);
        }
        continue;
      }
      this.#length[this.#lengthBytes++] = bytes[at++] ?? 0;
      if (this.#lengthBytes === LENGTH_BYTES) {
        this.#lengthBytes = 0;
        this.#begin(this.#check(this.#length.readUInt32LE(0)), onFrame);
      }
    }
  }

  #begin(length: number, onFrame: (frame: Buffer) => void): void {
    const frame = Buffer.allocUnsafe(length);
    if (length === 0) {
      onFrame(frame);
      return;
    }
    this.#frame = frame;
    this.#frameBytes = 0;
  }

  #gather(frame: Buffer, bytes: Buffer, at: number): number {
    const copied = bytes.copy(frame, this.#frameBytes, at);
    this.#frameBytes += copied;
    return copied;
  }

  #check(length: number): number {
    checkFrameLength(length, this.#maxFrameBytes);
    return length;
  }
}

/** @throws RuntimeError `ERR_PROTOCOL` when a frame announces more than it may. */
export function checkFrameLength(length: number, maxFrameBytes: number): void {
  if (length <= maxFrameBytes) return;
  throw new RuntimeError(
    "ERR_PROTOCOL",
    `Cannot read a frame: it announces ${length} bytes, expected at most ${maxFrameBytes}`,
  );
}

import { RuntimeError } from "../errors.ts";

/** A frame on the wire: its length in 4 bytes, least significant first, then that many bytes. */
export const LENGTH_BYTES = 4;

/** As much as a frame has usually, and what one read brings on top. Pages of it that are never used take no memory. */
const BUFFER_BYTES = 320 * 1024;

/** With less room than that it would take many reads to bring a frame. */
const LEAST_SPACE_BYTES = 64 * 1024;

/**
 * Cuts a byte stream into frames, wherever the stream was split, within one buffer that is filled again and again: a frame is
 * valid only while it is handed out.
 *
 * Memory outside of V8's heap costs a collection of all of it for each few dozens of MiB: with a new buffer for each read
 * it was most of what a primary did (decision 028).
 */
export class FrameBuffer {
  maxFrameBytes: number;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  /** What is there and not handed out yet. */
  #start = 0;
  #end = 0;
  /** A frame that the buffer has no room for, and how much of it is there. */
  #frame: Buffer | null = null;
  #frameBytes = 0;

  constructor(options: { maxFrameBytes: number }) {
    this.maxFrameBytes = options.maxFrameBytes;
  }

  /** Where the next bytes go; at least one fits. */
  space(): Uint8Array {
    if (this.#frame !== null) return this.#frame.subarray(this.#frameBytes);
    return this.#buffer.subarray(this.#end);
  }

  /**
   * So many bytes are in the space. Calls `onFrame` for each frame that they complete, in order.
   *
   * @throws RuntimeError `ERR_PROTOCOL` when a frame announces more than `maxFrameBytes`; the stream is then useless.
   */
  filled(bytes: number, onFrame: (frame: Buffer) => void): void {
    const frame = this.#frame;
    if (frame !== null) {
      this.#frameBytes += bytes;
      if (this.#frameBytes < frame.length) return;
      this.#frame = null;
      onFrame(frame);
      return;
    }
    this.#end += bytes;
    let neededBytes = LENGTH_BYTES;
    while (this.#end - this.#start >= LENGTH_BYTES) {
      const length = this.#buffer.readUInt32LE(this.#start);
      this.#check(length);
      neededBytes = LENGTH_BYTES + length;
      if (this.#end - this.#start < neededBytes) break;
      const at = this.#start + LENGTH_BYTES;
      this.#start += neededBytes;
      neededBytes = LENGTH_BYTES;
      onFrame(this.#buffer.subarray(at, at + length));
    }
    this.#makeRoom(neededBytes);
  }

  #check(length: number): void {
    if (length <= this.maxFrameBytes) return;
    throw new RuntimeError(
      "ERR_PROTOCOL",
      `Cannot read a frame: it announces ${length} bytes, expected at most ${this.maxFrameBytes}`,
    );
  }

  /** Sees to it that what is missing of the next frame finds room. */
  #makeRoom(neededBytes: number): void {
    if (this.#start === this.#end) {
      this.#start = this.#end = 0;
    } else if (neededBytes > BUFFER_BYTES) {
      this.#frame = Buffer.allocUnsafeSlow(neededBytes - LENGTH_BYTES);
      this.#frameBytes = this.#buffer.copy(this.#frame, 0, this.#start + LENGTH_BYTES, this.#end);
      this.#start = this.#end = 0;
    } else if (
      neededBytes > BUFFER_BYTES - this.#start ||
      BUFFER_BYTES - this.#end < LEAST_SPACE_BYTES
    ) {
      this.#buffer.copyWithin(0, this.#start, this.#end);
      this.#end -= this.#start;
      this.#start = 0;
    }
  }
}

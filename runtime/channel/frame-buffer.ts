import { RuntimeError } from "../lib/errors.ts";

/** A frame on the wire: its length in 4 bytes, least significant first, then that many bytes. */
export const LENGTH_BYTES = 4;

/** Room for a usual frame and one more read. Pages that are never used take no memory. */
const BUFFER_BYTES = 320 * 1024;

/** With less room, one frame would take many reads. */
const LEAST_SPACE_BYTES = 64 * 1024;

/**
 * Cuts a byte stream into frames, wherever the stream was split. All frames share one buffer: a frame is valid only
 * during the call of `onFrame`.
 *
 * For each few dozen MiB of new memory outside its heap, V8 collects that whole heap. With a new buffer for each read,
 * these collections took most of a primary's time (decision 028).
 */
export class FrameBuffer {
  maxFrameBytes: number;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  /** Bounds of the bytes that were read and not yet handed out. */
  #start = 0;
  #end = 0;
  /** A frame that is too large for the buffer, and how much of it has been read. */
  #frame: Buffer | null = null;
  #frameBytes = 0;

  constructor(options: { maxFrameBytes: number }) {
    this.maxFrameBytes = options.maxFrameBytes;
  }

  /** Returns the memory for the next read, at least one byte. */
  space(): Uint8Array {
    if (this.#frame !== null) return this.#frame.subarray(this.#frameBytes);
    return this.#buffer.subarray(this.#end);
  }

  /**
   * Notes that `bytes` bytes were read into the space. Calls `onFrame` for each frame that they complete, in order.
   *
   * @throws RuntimeError `ERR_PROTOCOL` when a frame announces more than `maxFrameBytes`. The stream is useless then.
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

  /** Makes room for the rest of the next frame. */
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

import { Packr, RESERVE_START_SPACE } from "msgpackr";
import { RuntimeError } from "../lib/errors.ts";
import type { FrameMemory } from "./frame-memory.ts";
import { LENGTH_BYTES } from "./frame-buffer.ts";

/**
 * Turns an array of messages into one frame and back. One codec per channel end.
 *
 * Records, msgpackr's extension for repeated object shapes, are off: a worker in another language reads plain
 * MessagePack.
 */
export class Codec {
  readonly #packr = new Packr({ useRecords: false, encodeUndefinedAsNil: true, moreTypes: false });

  /**
   * Packs messages into a frame with its length in front.
   *
   * @param memory Memory for the frame. If it has too little room, the frame gets memory of its own.
   */
  encode(messages: readonly unknown[], memory: FrameMemory): Buffer {
    this.#packr.useBuffer(memory.bytes);
    // msgpackr's types lack this setter. Frames before this position may not have been written yet.
    (this.#packr as Packr & { position: number }).position = memory.usedBytes;
    // Reserve room for the length in the same buffer: the frame is one piece, and nothing is copied.
    const frame = this.#packr.pack(messages, RESERVE_START_SPACE + LENGTH_BYTES);
    frame.writeUInt32LE(frame.length - LENGTH_BYTES, 0);
    if (frame.buffer === memory.bytes.buffer) memory.use(frame.byteOffset + frame.length);
    return frame;
  }

  /**
   * Unpacks a frame, without its length. Byte strings in the messages are views of `frame`.
   *
   * @throws RuntimeError `ERR_PROTOCOL` when the bytes are not one MessagePack array.
   */
  decode(frame: Buffer): unknown[] {
    let messages: unknown;
    try {
      messages = this.#packr.unpack(frame);
    } catch (error) {
      throw new RuntimeError("ERR_PROTOCOL", "Cannot decode a frame: not MessagePack", {
        cause: error,
      });
    }
    if (!Array.isArray(messages)) {
      throw new RuntimeError(
        "ERR_PROTOCOL",
        `Cannot decode a frame: found ${typeof messages}, expected an array of messages`,
      );
    }
    return messages;
  }
}

import { constants, deflateRawSync, inflateRawSync } from "node:zlib";
import type { Inflate } from "../../http/web-socket-frames.ts";
import { CLOSE_CODES } from "../../http/web-socket.ts";

/** The end of an empty block without compression, which messages leave out (RFC 7692 section 7.2.1). */
const TAIL = Buffer.from([0x00, 0x00, 0xff, 0xff]);

/** Compresses the messages of the server with one window, and reads those of clients. */
export interface Deflater {
  /**
   * Returns the compressed form of a message (RFC 7692 section 7.2.1). The event loop stands still meanwhile.
   *
   * @param bytes Must not change afterwards.
   */
  deflate(bytes: Uint8Array): Buffer;
  /** As `inflateMessage`. The event loop stands still meanwhile. */
  inflate: Inflate;
}

/** Compresses the messages of a listener's WebSockets, each one alone. */
export class MessageDeflater {
  readonly #deflaters = new Map<number, Deflater>();

  /** @param windowBits 9 to 15. */
  withWindow(windowBits: number): Deflater {
    const known = this.#deflaters.get(windowBits);
    if (known !== undefined) return known;
    const deflater = createDeflater(windowBits);
    this.#deflaters.set(windowBits, deflater);
    return deflater;
  }
}

function createDeflater(windowBits: number): Deflater {
  // All subscribers of a topic get the same bytes, which are compressed once.
  const done = new WeakMap<Uint8Array, Buffer>();
  const options = {
    windowBits,
    // The event loop stands still meanwhile.
    level: constants.Z_BEST_SPEED,
    finishFlush: constants.Z_SYNC_FLUSH,
  };
  return {
    deflate(bytes) {
      const known = done.get(bytes);
      if (known !== undefined) return known;
      // A copy: the result of zlib is a view on 16 KiB, which a message that waits would keep.
      const deflated = Buffer.from(deflateRawSync(bytes, options).subarray(0, -TAIL.length));
      done.set(bytes, deflated);
      return deflated;
    },
    inflate: inflateMessage,
  };
}

/**
 * Returns a message from its compressed form (RFC 7692 section 7.2.2). Stops as soon as it is too large.
 *
 * @returns The close code for the sender, if the message has more than `largestBytes` or is damaged.
 */
export function inflateMessage(bytes: Uint8Array, largestBytes: number): Buffer | number {
  try {
    return inflateRawSync(Buffer.concat([bytes, TAIL]), {
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: largestBytes,
    });
  } catch (error) {
    const isTooLarge =
      error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
    return isTooLarge ? CLOSE_CODES.messageTooBig : CLOSE_CODES.invalidText;
  }
}

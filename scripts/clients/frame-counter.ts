/** Opcodes of RFC 6455 section 5.2. */
const TEXT = 1;
const CLOSE = 8;

/** Opcode and FIN, then the mask bit and the length. */
const SHORT_HEAD = 2;
const LONG_HEAD = 4;

/**
 * Counts the messages in the frames of a server. Reads the heads of frames only, so that a load generator costs less than
 * its server. Takes unmasked frames of less than 64 KiB, one for each message.
 */
export class FrameCounter {
  /** Bytes of a frame that has not come as a whole. */
  #rest: Buffer = Buffer.alloc(0);
  /** Whether the server has sent a close frame. */
  hasClosed = false;

  /**
   * Takes the next bytes, and returns the number of text messages that they complete.
   *
   * @throws Error for a frame that is masked, a fragment, longer, or binary.
   */
  count(bytes: Buffer): number {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    let count = 0;
    while (at + SHORT_HEAD <= all.length) {
      const first = all[at] ?? 0;
      const short = all[at + 1] ?? 0;
      if ((first & 0x80) === 0 || short >= 127) throw new Error("not a whole, short, bare frame");
      const headBytes = short === 126 ? LONG_HEAD : SHORT_HEAD;
      if (at + headBytes > all.length) break;
      const end = at + headBytes + (short === 126 ? all.readUInt16BE(at + SHORT_HEAD) : short);
      if (end > all.length) break;
      const opcode = first & 0x0f;
      if (opcode === TEXT) count++;
      else if (opcode === CLOSE) this.hasClosed = true;
      else if (opcode < CLOSE) throw new Error(`not a text message: opcode ${opcode}`);
      at = end;
    }
    this.#rest = all.subarray(at);
    return count;
  }
}

/** Returns a masked frame with a text of less than 126 bytes. */
export function toTextFrame(text: string): Buffer {
  const bytes = Buffer.from(text);
  if (bytes.length > 125) throw new RangeError(`found ${bytes.length} bytes, expected at most 125`);
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78]);
  const masked = bytes.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return Buffer.concat([Buffer.from([0x80 | TEXT, 0x80 | bytes.length]), mask, masked]);
}

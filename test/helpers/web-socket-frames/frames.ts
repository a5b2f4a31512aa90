/** Opcodes of RFC 6455 section 5.2. */
export const OPCODES = {
  continuation: 0,
  text: 1,
  binary: 2,
  close: 8,
  ping: 9,
  pong: 10,
} as const;

/** A frame as a client sends it. */
export interface FrameParts {
  opcode?: number;
  payload?: string | Uint8Array;
  fin?: boolean;
  /** The three reserved bits, RSV1 being 4. */
  rsv?: number;
  /** `null`: the frame has no mask. */
  mask?: readonly [number, number, number, number] | null;
  /** Bytes of the length field: 0 (in the second byte), 2 or 8. Absent: the shortest form. */
  lengthBytes?: 0 | 2 | 8;
  /** Announced length, if it is not that of the payload. */
  announces?: bigint;
}

/** A frame of a server. */
export interface Frame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly isMasked: boolean;
  readonly payload: Buffer;
  /** Bytes of its length field. */
  readonly lengthBytes: 0 | 2 | 8;
}

/** Returns the bytes of a frame, valid or not (RFC 6455 section 5.2). */
export function frame({
  opcode = OPCODES.text,
  payload = "",
  fin = true,
  rsv = 0,
  mask = [0x37, 0xfa, 0x21, 0x3d],
  lengthBytes,
  announces,
}: FrameParts): Buffer {
  const plain = Buffer.from(payload);
  const length = announces ?? BigInt(plain.length);
  const size = lengthBytes ?? shortestLength(length);
  const head = Buffer.alloc(2 + size);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (mask === null ? 0 : 0x80) | (size === 0 ? Number(length) : size === 2 ? 126 : 127);
  if (size === 2) head.writeUInt16BE(Number(length), 2);
  if (size === 8) head.writeBigUInt64BE(length, 2);
  if (mask === null) return Buffer.concat([head, plain]);
  const masked = plain.map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return Buffer.concat([head, Buffer.from(mask), masked]);
}

function shortestLength(length: bigint): 0 | 2 | 8 {
  if (length < 126n) return 0;
  return length < 65_536n ? 2 : 8;
}

/** Returns the payload of a close frame. */
export function closePayload(code: number, reason: string | Uint8Array = ""): Buffer {
  const payload = Buffer.alloc(2);
  payload.writeUInt16BE(code);
  return Buffer.concat([payload, Buffer.from(reason)]);
}

/** Reads the first frame of bytes. Returns `null` if it is not complete. */
export function readFrame(bytes: Buffer): { frame: Frame; size: number } | null {
  const [first, second] = [bytes[0], bytes[1]];
  if (first === undefined || second === undefined) return null;
  const short = second & 0x7f;
  const lengthBytes = short === 126 ? 2 : short === 127 ? 8 : 0;
  const isMasked = (second & 0x80) !== 0;
  const headBytes = 2 + lengthBytes + (isMasked ? 4 : 0);
  if (bytes.length < headBytes) return null;
  const length =
    lengthBytes === 0
      ? short
      : lengthBytes === 2
        ? bytes.readUInt16BE(2)
        : Number(bytes.readBigUInt64BE(2));
  const size = headBytes + length;
  if (bytes.length < size) return null;
  const fin = (first & 0x80) !== 0;
  const rsv = (first >> 4) & 7;
  const payload = bytes.subarray(headBytes, size);
  return { frame: { fin, rsv, opcode: first & 0xf, isMasked, payload, lengthBytes }, size };
}

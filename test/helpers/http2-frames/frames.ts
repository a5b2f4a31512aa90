/** Types of frames (RFC 9113 section 6). */
export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;

/** Flags of frames. `ack` is the flag of SETTINGS and PING, `endStream` that of DATA and HEADERS. */
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4, padded: 8, priority: 32 } as const;

/** Parameters of SETTINGS (RFC 9113 section 6.5.2). */
export const SETTING = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const;

/** Names of error codes (RFC 9113 section 7), by their number. */
export const ERROR_NAMES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
] as const;

/** The first bytes of a client (RFC 9113 section 3.4), without the SETTINGS frame that follows them. */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

const HEAD_BYTES = 9;

/** A frame as it was received. */
export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

/** Encodes a frame. Checks nothing, so that a test can send invalid frames. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Splits received bytes into complete frames, and returns the rest. */
export function readFrames(bytes: Buffer): { frames: Frame[]; rest: Buffer } {
  const frames: Frame[] = [];
  let at = 0;
  while (bytes.length - at >= HEAD_BYTES) {
    const end = at + HEAD_BYTES + bytes.readUIntBE(at, 3);
    if (bytes.length < end) break;
    frames.push({
      type: bytes.readUInt8(at + 3),
      flags: bytes.readUInt8(at + 4),
      stream: bytes.readUInt32BE(at + 5) % 2 ** 31,
      payload: bytes.subarray(at + HEAD_BYTES, end),
    });
    at = end;
  }
  return { frames, rest: bytes.subarray(at) };
}

/** Returns a SETTINGS frame with these parameters. */
export function settings(...parameters: readonly (readonly [id: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(6 * parameters.length);
  for (const [index, [id, value]] of parameters.entries()) {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  }
  return frame(TYPE.settings, 0, 0, payload);
}

/** Returns a DATA frame. */
export function data(
  stream: number,
  bytes: string | Uint8Array,
  options: { end?: boolean } = {},
): Buffer {
  const payload = typeof bytes === "string" ? Buffer.from(bytes) : bytes;
  return frame(TYPE.data, options.end === true ? FLAG.endStream : 0, stream, payload);
}

/** Returns a RST_STREAM frame. */
export function rstStream(stream: number, code: number): Buffer {
  return frame(TYPE.rstStream, 0, stream, uint32(code));
}

/** Returns a WINDOW_UPDATE frame; stream 0 is the connection. */
export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(TYPE.windowUpdate, 0, stream, uint32(increment));
}

/** Returns a PING frame. */
export function ping(text = "12345678"): Buffer {
  return frame(TYPE.ping, 0, 0, Buffer.from(text));
}

/** Returns the four bytes of an unsigned number. */
export function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

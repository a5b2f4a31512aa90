import { randomFillSync } from "node:crypto";
import type { Duplex, Writable } from "node:stream";
import { CLOSE_CODES } from "./web-socket.ts";

/**
 * Frames bytes as messages: the class `Sender` of the package `ws`, which its types leave out. `onSent` is called once the
 * frame waits no longer, also if the connection is lost.
 */
export interface FrameSender {
  send(
    bytes: Uint8Array,
    options: { binary: boolean; fin: boolean; mask: boolean; compress: boolean },
    onSent: () => void,
  ): void;
  ping(bytes: Uint8Array, mask: boolean, onSent: () => void): void;
  pong(bytes: Uint8Array, mask: boolean, onSent: () => void): void;
  /** @throws Error For a code that no frame may have, and for a reason of more than 123 bytes. */
  close(code: number | undefined, reason: string, mask: boolean): void;
}

/**
 * Reads frames: the class `Receiver` of the package `ws`. Emits `message` (Buffer, isBinary), `ping`, `pong` (Buffer),
 * `conclude` (code, Buffer) and `error`, the first four within `write`.
 */
export type FrameReceiver = Writable;

/** The parts of the package `ws` that frame and read messages. */
export interface WebSocketFrames {
  createSender(socket: Duplex): FrameSender;
  /** @param options.isServer The frames come from a client, so they have masks. */
  createReceiver(options: { largestBytes: number; isServer: boolean }): FrameReceiver;
}

/**
 * Most fragments of a message, and most chunks that wait for the rest of a frame. The package's own limits for a
 * server.
 */
const MOST_FRAGMENTS = 16 * 1024;
const MOST_CHUNKS = 256 * 1024;

/** The classes as the package exports them. */
interface Exports {
  Sender: new (
    socket: Duplex,
    extensions: undefined,
    generateMask: (mask: Buffer) => void,
  ) => FrameSender;
  Receiver: new (options: {
    isServer: boolean;
    maxPayload: number;
    maxFragments: number;
    maxBufferedChunks: number;
    allowSynchronousEvents: boolean;
  }) => FrameReceiver;
}

/** Loads the package `ws` with the first WebSocket: importing it takes 15 ms. */
export class LazyFrames {
  #loading: Promise<WebSocketFrames> | null = null;
  #loaded: WebSocketFrames | null = null;

  /** The package, if it is loaded. */
  get loaded(): WebSocketFrames | null {
    return this.#loaded;
  }

  load(): Promise<WebSocketFrames> {
    this.#loading ??= importFrames().then((frames) => (this.#loaded = frames));
    return this.#loading;
  }
}

/** Returns the code for the sender of a frame that was refused, by the code of the error of `ws`. */
export function toCloseCode(problem: Error): number {
  switch ("code" in problem ? problem.code : null) {
    case "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH":
    case "WS_ERR_UNSUPPORTED_DATA_PAYLOAD_LENGTH":
    case "WS_ERR_TOO_MANY_BUFFERED_PARTS":
      return CLOSE_CODES.messageTooBig;
    case "WS_ERR_INVALID_UTF8":
      return CLOSE_CODES.invalidText;
    default:
      return CLOSE_CODES.protocolError;
  }
}

async function importFrames(): Promise<WebSocketFrames> {
  // The package exports both classes, and its types do not declare them.
  const { Sender, Receiver } = (await import("ws")) as unknown as Exports;
  return {
    createSender: (socket) => new Sender(socket, undefined, fillMask),
    createReceiver: ({ largestBytes, isServer }) =>
      new Receiver({
        isServer,
        maxPayload: largestBytes,
        maxFragments: MOST_FRAGMENTS,
        maxBufferedChunks: MOST_CHUNKS,
        // Otherwise it holds messages back, and a pause of the socket does not stop these.
        allowSynchronousEvents: true,
      }),
  };
}

/** Random bytes for masks, and the number of them that are used. A call for each frame would take 4 µs. */
const pool = Buffer.alloc(8 * 1024);
let usedBytes = pool.length;

/** Fills in a random mask. With a mask of zeros the package would send lent bytes without a copy. */
function fillMask(mask: Buffer): void {
  if (usedBytes === pool.length) {
    randomFillSync(pool);
    usedBytes = 0;
  }
  usedBytes += pool.copy(mask, 0, usedBytes, usedBytes + 4);
  if (mask.readUInt32BE(0) === 0) mask[0] = 1;
}

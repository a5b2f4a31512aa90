/* oxlint-disable no-underscore-dangle -- The package `ws` names the parts of its receiver in this way. */
import { randomFillSync } from "node:crypto";
import type { Duplex, Writable } from "node:stream";
import { toOwnMemory } from "../lib/own-memory.ts";
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
  /** Sends the bytes of a whole frame. */
  sendFrame(parts: readonly (Buffer | string)[], onSent: () => void): void;
}

/**
 * Reads frames: the class `Receiver` of the package `ws`. Emits `message` (Buffer, isBinary), `ping`, `pong` (Buffer),
 * `conclude` (code, Buffer) and `error`, the first four within `write`.
 */
export type FrameReceiver = Writable;

/** The parts of the package `ws` that frame and read messages. */
export interface WebSocketFrames {
  createSender(socket: Duplex): FrameSender;
  /**
   * @param options.isServer The frames come from a client, so they have masks.
   * @param options.inflate Reads compressed messages; absent: none may come.
   */
  createReceiver(options: {
    largestBytes: number;
    isServer: boolean;
    inflate?: Inflate | undefined;
  }): FrameReceiver;
  /** Returns the frame of a compressed message of a server (RFC 7692 section 6). */
  frameCompressed(bytes: Uint8Array, isBinary: boolean): readonly (Buffer | string)[];
}

/**
 * Returns a message from its compressed form, or the close code for its sender: the message has more than
 * `largestBytes`, or is damaged.
 */
export type Inflate = (bytes: Uint8Array, largestBytes: number) => Buffer | number;

/**
 * Most fragments of a message, and most chunks that wait for the rest of a frame. The package's own limits for a
 * server.
 */
const MOST_FRAGMENTS = 16 * 1024;
const MOST_CHUNKS = 256 * 1024;

interface ReceiverOptions {
  isServer: boolean;
  maxPayload: number;
  maxFragments: number;
  maxBufferedChunks: number;
  allowSynchronousEvents: boolean;
  /** With a value for the name of the extension, messages may be compressed. */
  extensions?: Readonly<Record<string, unknown>>;
}

/** The class `Receiver` of the package, with its parts that read a compressed message. */
export type ReceiverClass = new (options: ReceiverOptions) => FrameReceiver & {
  /** The frame that is read is the last one of its message. */
  readonly _fin: boolean;
  /** Frames of the message so far, and their bytes. */
  _fragments: Buffer[];
  _messageLength: number;
  /** Called with the payload of each frame of a compressed message. */
  decompress(bytes: Buffer, done: (error: Error) => void): void;
  /** Emits the message if the frame was its last one, and reads on. */
  dataMessage(done: (error: Error) => void): void;
  createError(
    type: ErrorConstructor,
    message: string,
    prefix: boolean,
    closeCode: number,
    code: string,
  ): Error;
};

/** The classes as the package exports them. */
interface Exports {
  Sender: {
    new (socket: Duplex, extensions: undefined, generateMask: (mask: Buffer) => void): FrameSender;
    frame(
      bytes: Uint8Array,
      options: { fin: true; rsv1: true; opcode: 1 | 2; mask: false; readOnly: true },
    ): readonly (Buffer | string)[];
  };
  Receiver: ReceiverClass;
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
    case DAMAGED:
      return CLOSE_CODES.invalidText;
    default:
      return CLOSE_CODES.protocolError;
  }
}

/** Code of the error for a message that is no valid compressed one. */
const DAMAGED = "ERR_DAMAGED_MESSAGE";

/**
 * Creates a receiver that keeps no whole read for a few bytes of it. The package keeps views: a fragment of one byte would
 * hold 64 KiB, and so would one byte of a frame in a stream of HTTP/2, whose reads are shared by all streams.
 */
function createFrugal(
  Receiver: ReceiverClass,
  options: ReceiverOptions,
): InstanceType<ReceiverClass> {
  const receiver = new Receiver(options);
  const readOn = receiver.dataMessage.bind(receiver);
  receiver.dataMessage = (done) => {
    const fragments = receiver._fragments;
    const last = fragments.at(-1);
    if (last !== undefined && !receiver._fin) fragments[fragments.length - 1] = toOwnMemory(last);
    readOn(done);
  };
  const write = receiver._write.bind(receiver);
  receiver._write = (bytes: Buffer, encoding, done) => write(toOwnMemory(bytes), encoding, done);
  return receiver;
}

/**
 * Creates a receiver that inflates a message at once, within `write`. The package's own way inflates in another thread:
 * events then come later, and each WebSocket keeps a window in memory.
 */
function createInflating(
  Receiver: ReceiverClass,
  { inflate, ...options }: ReceiverOptions & { inflate: Inflate },
): FrameReceiver {
  const largestBytes = options.maxPayload;
  const receiver = createFrugal(Receiver, {
    ...options,
    // Random bytes grow a little, by at most an eighth with zlib. The receiver of the message bounds plain ones.
    maxPayload: largestBytes + (largestBytes >> 3) + 64,
    extensions: { "permessage-deflate": true },
  });
  /** The frames of the message so far. The package bounds their bytes, and their number. */
  let frames: Buffer[] = [];
  receiver.decompress = (bytes, done) => {
    frames.push(receiver._fin ? bytes : toOwnMemory(bytes));
    if (receiver._fin) {
      const message = inflate(Buffer.concat(frames), largestBytes);
      frames = [];
      if (typeof message === "number") {
        const isTooLarge = message === CLOSE_CODES.messageTooBig;
        const code = isTooLarge ? "WS_ERR_UNSUPPORTED_MESSAGE_LENGTH" : DAMAGED;
        done(receiver.createError(Error, "a message cannot be inflated", false, message, code));
        return;
      }
      receiver._fragments = [message];
      receiver._messageLength = message.length;
    }
    receiver.dataMessage(done);
  };
  return receiver;
}

async function importFrames(): Promise<WebSocketFrames> {
  // The package exports both classes, and its types do not declare them.
  const { Sender, Receiver } = (await import("ws")) as unknown as Exports;
  return {
    createSender: (socket) => new Sender(socket, undefined, fillMask),
    createReceiver: ({ largestBytes, isServer, inflate }) => {
      const options = {
        isServer,
        maxPayload: largestBytes,
        maxFragments: MOST_FRAGMENTS,
        maxBufferedChunks: MOST_CHUNKS,
        // Otherwise it holds messages back, and a pause of the socket does not stop these.
        allowSynchronousEvents: true,
      };
      return inflate === undefined
        ? createFrugal(Receiver, options)
        : createInflating(Receiver, { ...options, inflate });
    },
    frameCompressed: (bytes, isBinary) =>
      Sender.frame(bytes, {
        fin: true,
        rsv1: true,
        opcode: isBinary ? 2 : 1,
        mask: false,
        readOnly: true,
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

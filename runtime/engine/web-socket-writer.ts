import { isWorthDeflating } from "../http/web-socket-deflate.ts";

/**
 * Largest piece that is handed to the library at once. A larger message leaves in fragments, which an intermediary may
 * make (RFC 6455 section 5.4): pings pass between them, and progress shows. From 16 KiB on, uWebSockets.js stops to write
 * if the piece is sent within its callback `drain` and does not fit (docs/uwebsockets.md section 7).
 */
export const PIECE_BYTES = 16_000;

/** Memory that a message takes while it waits, beside its bytes: a million empty messages are not small. */
const MESSAGE_COST_BYTES = 256;

/** Result of the library's `send`: it takes more. */
const TOOK = 1;

/** The part of a library's WebSocket that sends messages. Each method returns 1: it takes more, or 0: it holds bytes. */
export interface FrameSocket {
  /** @param isCompressed Compresses the message; only where the client agreed. */
  send(bytes: Uint8Array, isBinary: boolean, isCompressed: boolean): number;
  sendFirstFragment(bytes: Uint8Array, isBinary: boolean): number;
  sendFragment(bytes: Uint8Array): number;
  sendLastFragment(bytes: Uint8Array): number;
  /** Bytes that the library holds. It calls `drain` when they become fewer, and always when none is left. */
  getBufferedAmount(): number;
  /** Writes the bytes that the library holds, as far as the kernel takes them. */
  cork(callback: () => void): void;
}

export interface WriterOptions {
  /** The client takes compressed messages. Such a message leaves whole. */
  compresses: boolean;
  now: () => number;
  /** Runs a callback in a later turn of the event loop. */
  defer: (callback: () => void) => void;
  /** All messages have left after `send` returned false. Never called within `send` or a callback of the library. */
  onRoom: () => void;
}

interface Message {
  readonly bytes: Uint8Array;
  readonly isBinary: boolean;
}

/**
 * Sends messages to a client as fast as it takes them.
 *
 *     free ──piece did not fit──▶ full ──drained──▶ resuming ──next turn──▶ free, or full again
 *
 * Invariant: while messages wait, the state is not `free`. While it is `full`, the library waits for the kernel, so
 * that a `drain` will come. While it is `resuming`, a deferred call will come.
 *
 * Nothing is sent within the library's callback `drain`: there uWebSockets.js forgets to wait for the kernel after a large
 * piece (docs/uwebsockets.md section 7).
 */
export class WebSocketWriter {
  readonly #socket: FrameSocket;
  readonly #options: WriterOptions;
  /** Messages that wait, and some that have left. */
  #waiting: Message[] = [];
  /** Number of them that have left: those at the start. */
  #left = 0;
  /** Bytes of the next one that have left. */
  #sentOfNext = 0;
  #state: "free" | "full" | "resuming" | "stopped" = "free";
  /** Bytes that the library held at the last look. */
  #heldBytes = 0;
  /** Bytes of messages that were not handed to the library. */
  #waitingBytes = 0;
  /** Bytes of all messages that were handed to the library. */
  sentBytes = 0;
  /** Time at which the client last took bytes, while it is slow. */
  progressMs = 0;

  constructor(socket: FrameSocket, options: WriterOptions) {
    this.#socket = socket;
    this.#options = options;
  }

  /** True while messages wait for the client. */
  get isBlocked(): boolean {
    return this.#state !== "free";
  }

  /** Bytes that wait for the client, here and in the library, with the memory that messages take here. */
  get bufferedBytes(): number {
    if (this.#state === "stopped") return 0;
    const costBytes = (this.#waiting.length - this.#left) * MESSAGE_COST_BYTES;
    return this.#waitingBytes + costBytes + this.#socket.getBufferedAmount();
  }

  /** Sends a message. Returns false if it waits: `onRoom` follows. */
  send(bytes: Uint8Array, isBinary: boolean): boolean {
    if (this.#state === "stopped") return true;
    this.#waitingBytes += bytes.length;
    this.#waiting.push({ bytes, isBinary });
    return this.#state === "free" && this.#write();
  }

  /** The library holds fewer bytes than before, or none. */
  onDrain(): void {
    if (this.#state !== "full") return;
    this.#progress();
    if (this.#heldBytes === 0) this.#resumeLater();
  }

  /** Tries to write although the kernel has not asked: it only does so once a third of its buffer is free. */
  nudge(): void {
    if (this.#state !== "full") return;
    this.#socket.cork(() => {});
    this.onDrain();
  }

  /** Forgets all messages that wait. The socket must not be used any more. */
  stop(): void {
    this.#state = "stopped";
    this.#waiting = [];
    this.#waitingBytes = 0;
  }

  #resumeLater(): void {
    this.#state = "resuming";
    this.#options.defer(this.#resume);
  }

  readonly #resume = (): void => {
    if (this.#state !== "resuming") return;
    // A ping may not have fit meanwhile.
    this.#state = "full";
    this.#progress();
    if (this.#heldBytes > 0) return;
    this.#state = "free";
    if (this.#write()) this.#options.onRoom();
  };

  #progress(): void {
    const heldBytes = this.#socket.getBufferedAmount();
    if (heldBytes < this.#heldBytes) this.progressMs = this.#options.now();
    this.#heldBytes = heldBytes;
  }

  /** Hands over pieces until one does not fit. Returns true if all have left. */
  #write(): boolean {
    for (;;) {
      const message = this.#waiting[this.#left];
      if (message === undefined) {
        this.#waiting = [];
        this.#left = 0;
        return true;
      }
      const hasRoom = this.#writePiece(message) === TOOK;
      if (this.#sentOfNext === message.bytes.length) {
        this.#left++;
        this.#sentOfNext = 0;
      }
      if (!hasRoom) break;
    }
    this.progressMs = this.#options.now();
    this.#heldBytes = this.#socket.getBufferedAmount();
    this.#state = "full";
    if (this.#heldBytes === 0) this.#resumeLater();
    return false;
  }

  #writePiece({ bytes, isBinary }: Message): number {
    const from = this.#sentOfNext;
    const isCompressed = this.#options.compresses && isWorthDeflating(bytes.length);
    const to = isCompressed ? bytes.length : Math.min(bytes.length, from + PIECE_BYTES);
    this.#sentOfNext = to;
    this.sentBytes += to - from;
    this.#waitingBytes -= to - from;
    const isLast = to === bytes.length;
    if (from === 0 && isLast) return this.#socket.send(bytes, isBinary, isCompressed);
    const piece = bytes.subarray(from, to);
    if (from === 0) return this.#socket.sendFirstFragment(piece, isBinary);
    return isLast ? this.#socket.sendLastFragment(piece) : this.#socket.sendFragment(piece);
  }
}

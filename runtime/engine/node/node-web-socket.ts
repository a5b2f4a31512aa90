import type { Duplex } from "node:stream";
import {
  type FrameReceiver,
  type FrameSender,
  type Inflate,
  toCloseCode,
  type WebSocketFrames,
} from "../../http/web-socket-frames.ts";
import { CLOSE_CODES, type WebSocketEnd } from "../../http/web-socket.ts";
import { isSendableCloseCode } from "../../lib/close-codes.ts";
import type { ClientWebSocket, EngineSocket } from "../client-web-socket.ts";
import type { Deflater } from "./message-deflate.ts";

/** Bytes that may wait in the stream before the writer keeps the rest. */
const FULL_BYTES = 16 * 1024;

/**
 * Bytes that may be written in one turn to a stream that takes none at once. Such a write ends as a whole: with more bytes, a
 * client of 4 KB/s would take none for longer than `sendTimeout`.
 */
const TURN_BYTES = 256 * 1024;

/** Answers to pings that may wait. With more, only the latest ping is answered (RFC 6455 section 5.5.3). */
const MOST_PONGS = 32;

/** Pause after which a client that has its close frame, and does not close the connection, is cut. */
const LINGER_MS = 5_000;

/** Longest time for a client that still takes bytes before its close frame. */
const LINGER_TOTAL_MS = 30_000;

const NO_BYTES = Buffer.alloc(0);

/** The bytes of a connection, or of a stream of HTTP/2, that is a WebSocket now. */
export interface UpgradedStream {
  readonly duplex: Duplex;
  /** Bytes leave it within `write` if the client takes them. Streams with TLS, and those of HTTP/2, write in a later turn. */
  readonly writesAtOnce: boolean;
  /** Cuts it, so that the client cannot take the end for an orderly one. */
  cut(): void;
}

export interface NodeWebSocketOptions {
  frames: WebSocketFrames;
  /** Gets the events of the client. */
  side: ClientWebSocket;
  /** Largest message of the client, whole or in fragments. */
  largestBytes: number;
  /** Compresses and inflates messages; `null`: the client did not agree. */
  deflater: Deflater | null;
}

/**
 * A WebSocket on Node's sockets. The package `ws` reads and makes the frames.
 *
 *     open ──end, the client's close frame, or a rule broken──▶ lingering ──client closes, or time is over──▶ closed
 *       └── close, or the client left ──▶ closed
 *
 * `lingering`: the close frame is written, and `onClosed` was called. Bytes of the client are read and dropped: closing would
 * reset the connection, and the client could lose the close frame.
 */
export class NodeWebSocket implements EngineSocket {
  readonly #stream: UpgradedStream;
  readonly #duplex: Duplex;
  readonly #side: ClientWebSocket;
  readonly #sender: FrameSender;
  readonly #receiver: FrameReceiver;
  readonly #frames: WebSocketFrames;
  readonly #deflater: Deflater | null;
  /** Bytes that waited when the first bytes of this turn were written; `null`: none were, or writes happen at once. */
  #heldBefore: number | null = null;
  #isOver = false;
  #lingerTimer: NodeJS.Timeout | undefined;
  #pongs = 0;
  /** The latest ping that came while too many answers waited. */
  #nextPong: Buffer | null = null;

  constructor(
    stream: UpgradedStream,
    { frames, side, largestBytes, deflater }: NodeWebSocketOptions,
  ) {
    this.#frames = frames;
    this.#deflater = deflater;
    this.#stream = stream;
    const { duplex } = stream;
    this.#duplex = duplex;
    this.#side = side;
    this.#sender = frames.createSender(duplex);
    const receiver = frames.createReceiver({
      largestBytes,
      isServer: true,
      inflate: deflater === null ? undefined : this.#inflate,
    });
    this.#receiver = receiver;
    receiver.on("message", (bytes: Buffer, isBinary: boolean) => {
      if (!this.#isOver) side.onMessage(bytes, isBinary);
    });
    receiver.on("ping", (bytes: Buffer) => this.#onPing(bytes));
    receiver.on("pong", (bytes: Buffer) => {
      if (!this.#isOver) side.onPong(bytes);
    });
    receiver.on("conclude", (code: number, reason: Buffer) =>
      this.#leave({ code, reason: reason.toString() }),
    );
    // `#onData` handles it.
    receiver.on("error", () => {});
    duplex.on("data", this.#onData);
    duplex.on("end", () => {
      if (!this.#isOver) this.close();
    });
    // `close` follows.
    duplex.on("error", () => {});
    duplex.on("close", () => {
      clearTimeout(this.#lingerTimer);
      this.#over({ code: CLOSE_CODES.abnormal, reason: "" });
    });
  }

  send(bytes: Uint8Array, isBinary: boolean, isCompressed: boolean): number {
    const deflated = isCompressed ? (this.#deflater?.deflate(bytes) ?? bytes) : bytes;
    if (deflated.length >= bytes.length) return this.#send(bytes, { binary: isBinary, fin: true });
    this.#beginTurn();
    this.#sender.sendFrame(this.#frames.frameCompressed(deflated, isBinary), this.#onSent);
    return this.#hasRoom();
  }

  sendFirstFragment(bytes: Uint8Array, isBinary: boolean): number {
    return this.#send(bytes, { binary: isBinary, fin: false });
  }

  sendFragment(bytes: Uint8Array): number {
    return this.#send(bytes, { binary: false, fin: false });
  }

  sendLastFragment(bytes: Uint8Array): number {
    return this.#send(bytes, { binary: false, fin: true });
  }

  /** Bytes that wait for the client, without those that could not leave yet because they are of this turn. */
  getBufferedAmount(): number {
    const held = this.#duplex.writableLength;
    return this.#heldBefore === null ? held : Math.min(held, this.#heldBefore);
  }

  cork(callback: () => void): void {
    callback();
  }

  ping(bytes: Uint8Array): void {
    this.#beginTurn();
    this.#sender.ping(bytes, false, this.#onSent);
  }

  end(code: number, reason: string): void {
    this.#leave({ code, reason });
  }

  close(): void {
    this.#over({ code: CLOSE_CODES.abnormal, reason: "" });
    this.#stream.cut();
  }

  #send(bytes: Uint8Array, { binary, fin }: { binary: boolean; fin: boolean }): number {
    this.#beginTurn();
    this.#sender.send(bytes, { binary, fin, mask: false, compress: false }, this.#onSent);
    return this.#hasRoom();
  }

  #hasRoom(): 0 | 1 {
    const isFull =
      this.getBufferedAmount() >= FULL_BYTES || this.#duplex.writableLength >= TURN_BYTES;
    return isFull ? 0 : 1;
  }

  #beginTurn(): void {
    if (this.#stream.writesAtOnce || this.#heldBefore !== null) return;
    this.#heldBefore = this.#duplex.writableLength;
    setImmediate(this.#endTurn);
  }

  readonly #endTurn = (): void => {
    this.#heldBefore = null;
  };

  readonly #onSent = (): void => {
    if (!this.#isOver && this.#duplex.writableLength === 0) this.#side.onDrain();
  };

  /** Inflates a message, unless it would be dropped: bombs behind the first one must cost no time. */
  readonly #inflate: Inflate = (bytes, largestBytes) => {
    if (this.#isOver || !this.#side.isOpen || this.#deflater === null) return NO_BYTES;
    return this.#deflater.inflate(bytes, largestBytes);
  };

  readonly #onData = (bytes: Buffer): void => {
    if (this.#isOver) return;
    this.#receiver.write(bytes);
    const problem = this.#receiver.errored;
    if (problem !== null) {
      this.#leave({ code: toCloseCode(problem), reason: "", isRefusal: true });
    }
  };

  #onPing(bytes: Buffer): void {
    if (this.#isOver) return;
    if (this.#pongs < MOST_PONGS) this.#pong(bytes);
    else this.#nextPong = bytes;
    this.#side.onPing(bytes);
  }

  #pong(bytes: Buffer): void {
    this.#pongs++;
    this.#beginTurn();
    this.#sender.pong(bytes, false, () => {
      this.#pongs--;
      const next = this.#nextPong;
      this.#nextPong = null;
      if (next !== null && !this.#isOver) this.#pong(next);
      this.#onSent();
    });
  }

  /** Sends a close frame, and ends the server's side of the connection behind it. */
  #leave(end: WebSocketEnd): void {
    if (this.#isOver) return;
    this.#sender.close(isSendableCloseCode(end.code) ? end.code : undefined, end.reason, false);
    this.#duplex.end();
    this.#linger(performance.now() + LINGER_TOTAL_MS);
    this.#over(end);
  }

  #linger(endMs: number): void {
    this.#lingerTimer = setTimeout(() => {
      if (this.#duplex.writableLength > 0 && performance.now() < endMs) this.#linger(endMs);
      else this.#stream.cut();
    }, LINGER_MS).unref();
  }

  #over(end: WebSocketEnd): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#side.onClosed(end);
  }
}

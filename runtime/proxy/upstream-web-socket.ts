import type { Duplex } from "node:stream";
import { CLOSE_CODES, LARGEST_MESSAGE_BYTES, type WebSocketEnd } from "../http/web-socket.ts";
import { isSendableCloseCode } from "../lib/close-codes.ts";
import type { WaitingBytes } from "../lib/waiting-bytes.ts";
import {
  type FrameReceiver,
  type FrameSender,
  toCloseCode,
  type WebSocketFrames,
} from "../http/web-socket-frames.ts";

/** Time in which an upstream must take some of the bytes that wait, or close its side. */
const CLOSING_MS = 10_000;

/** Memory that a frame takes while it waits, beside its bytes: millions of empty messages are not small. */
const FRAME_COST_BYTES = 512;

/** How the upstream's side ended. */
export type UpstreamEnd =
  /** With the upstream's close frame. */
  | ({ readonly kind: "closed" } & WebSocketEnd)
  /** The upstream sent a frame or a message that is not valid, or a message that is too large. */
  | { readonly kind: "invalid" | "too-large" }
  /** The connection ended without a close frame. */
  | { readonly kind: "lost" };

/** Receives the events of the upstream's side. */
export interface UpstreamWebSocketEvents {
  /** A whole message. The bytes are the receiver's. */
  onMessage(bytes: Buffer, isBinary: boolean): void;
  onPing(bytes: Buffer): void;
  /** The upstream ended the WebSocket or broke a rule. Not called after `close` or `drop`. */
  onEnd(end: UpstreamEnd): void;
  /** The connection is closed. Called once, last. */
  onClosed(): void;
}

/**
 * The upstream's side of a WebSocket, over a connection that was upgraded.
 *
 *     open ──close, drop, or an end by the upstream──▶ closing ──connection closed, or no progress for 10 s──▶ closed
 *
 * In `closing` messages of the upstream are dropped, but still read: its close frame follows them.
 */
export class UpstreamWebSocket {
  readonly #socket: Duplex;
  readonly #events: UpstreamWebSocketEvents;
  readonly #sender: FrameSender;
  readonly #receiver: FrameReceiver;
  #state: "open" | "closing" | "closed" = "open";
  /** No further frame is read: the upstream's close frame has come, or an invalid one. */
  #isRead = false;
  #timer: NodeJS.Timeout | undefined;
  readonly #waiting: WaitingBytes;
  #waitingFrames = 0;
  /** The part of `#waiting` that is this connection's. */
  #countedBytes = 0;

  constructor(
    socket: Duplex,
    {
      frames,
      waiting,
      events,
    }: { frames: WebSocketFrames; waiting: WaitingBytes; events: UpstreamWebSocketEvents },
  ) {
    this.#socket = socket;
    this.#waiting = waiting;
    this.#events = events;
    this.#sender = frames.createSender(socket);
    const receiver = frames.createReceiver({
      largestBytes: LARGEST_MESSAGE_BYTES,
      isServer: false,
    });
    this.#receiver = receiver;
    receiver.on("message", (bytes: Buffer, isBinary: boolean) => {
      if (this.#state === "open") events.onMessage(bytes, isBinary);
    });
    receiver.on("ping", (bytes: Buffer) => {
      if (this.#state === "open") events.onPing(bytes);
    });
    receiver.on("conclude", (code: number, reason: Buffer) => this.#onCloseFrame(code, reason));
    // `#read` handles it.
    receiver.on("error", () => {});
    socket.on("end", () => this.#onLost());
    // `close` follows.
    socket.on("error", () => {});
    socket.on("close", () => this.#onClosed());
  }

  /** Begins to read. */
  begin(first: Uint8Array): void {
    this.#socket.on("data", (bytes: Buffer) => this.#read(bytes));
    if (first.length > 0) this.#read(Buffer.from(first));
  }

  /** Bytes that wait for the upstream, with the memory that their frames take. */
  get waitingBytes(): number {
    return this.#socket.writableLength + this.#waitingFrames * FRAME_COST_BYTES;
  }

  /** Sends a message. The bytes are copied. */
  send(bytes: Uint8Array, isBinary: boolean): void {
    if (this.#state !== "open") return;
    this.#waitingFrames++;
    const options = { binary: isBinary, fin: true, mask: true, compress: false };
    this.#sender.send(bytes, options, this.#onSent);
    this.#count();
  }

  ping(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#waitingFrames++;
    this.#sender.ping(Buffer.from(bytes), true, this.#onSent);
    this.#count();
  }

  pong(bytes: Uint8Array): void {
    if (this.#state !== "open") return;
    this.#waitingFrames++;
    this.#sender.pong(Buffer.from(bytes), true, this.#onSent);
    this.#count();
  }

  /** Lets no message come from the next one on, until `resume`. */
  pause(): void {
    if (this.#state === "open") this.#socket.pause();
  }

  resume(): void {
    if (this.#state === "open") this.#socket.resume();
  }

  /** Sends a close frame, and waits for that of the upstream. */
  close({ code, reason }: WebSocketEnd): void {
    if (this.#state !== "open") return;
    this.#sender.close(isSendableCloseCode(code) ? code : undefined, reason, true);
    this.#leave();
  }

  /** Closes the connection without a close frame, behind the messages that were sent. */
  drop(): void {
    if (this.#state !== "open") return;
    this.#leave();
    this.#socket.end();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    if (this.#isRead) return;
    this.#receiver.write(bytes);
    const problem = this.#receiver.errored;
    if (problem === null) return;
    this.#isRead = true;
    const code = toCloseCode(problem);
    const kind = code === CLOSE_CODES.messageTooBig ? "too-large" : "invalid";
    this.#answerEnd({ code, reason: "" }, { kind });
  }

  #onCloseFrame(code: number, reason: Buffer): void {
    this.#isRead = true;
    const end = { code, reason: reason.toString() };
    this.#answerEnd(end, { kind: "closed", ...end });
  }

  /** Answers the end that the upstream began, and tells of it unless the client's side ended first. */
  #answerEnd(answer: WebSocketEnd, end: UpstreamEnd): void {
    const wasOpen = this.#state === "open";
    this.close(answer);
    this.#socket.end();
    if (wasOpen) this.#events.onEnd(end);
  }

  /** The connection ended without a close frame. */
  #onLost(): void {
    if (this.#state !== "open") return;
    this.#leave();
    this.#events.onEnd({ kind: "lost" });
  }

  #onClosed(): void {
    this.#onLost();
    clearTimeout(this.#timer);
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#waiting.change(this.#countedBytes, 0);
    this.#events.onClosed();
  }

  readonly #onSent = (): void => {
    this.#waitingFrames--;
    this.#count();
  };

  #count(): void {
    if (this.#state === "closed") return;
    const bytes = this.waitingBytes;
    this.#waiting.change(this.#countedBytes, bytes);
    this.#countedBytes = bytes;
  }

  #leave(): void {
    this.#state = "closing";
    this.#limitClosing();
    this.#socket.resume();
  }

  /** Cuts the connection if the upstream neither closes it nor takes bytes. */
  #limitClosing(): void {
    const waitingBytes = this.waitingBytes;
    this.#timer = setTimeout(() => {
      if (this.waitingBytes < waitingBytes) this.#limitClosing();
      else this.#socket.destroy();
    }, CLOSING_MS);
  }
}

import type { ExchangeId } from "../http/client.ts";
import type { LimitName } from "../http/limit-names.ts";
import { judgeSilence, type SilenceLimits } from "../http/web-socket-liveness.ts";
import {
  CLOSE_CODES,
  LARGEST_MESSAGE_BYTES,
  type WebSocketEnd,
  type WebSocketEvents,
  type WebSocketSide,
} from "../http/web-socket.ts";
import type { Transferring } from "./transfer-sweep.ts";
import { type FrameSocket, WebSocketWriter } from "./web-socket-writer.ts";

/** Time in which a client must take the messages that wait before its close frame. */
const CLOSING_MS = 30_000;

/**
 * Most bytes that the library may hold for a client. The writer hands over pieces of 16,000 bytes and waits, so more are
 * answers to pings of a client that does not read.
 */
const MOST_HELD_BYTES = 1024 * 1024;

/** Payload of the server's own pings. Their answers are not passed on. */
const OWN_PING = Buffer.from("edgicorn");

/** A WebSocket of an engine's library, until it calls `onClosed`. Afterwards every method may throw. */
export interface EngineSocket extends FrameSocket {
  ping(bytes: Uint8Array): void;
  /** Sends a close frame. Calls `onClosed` before it returns. */
  end(code: number, reason: string): void;
  /** Cuts the connection. Calls `onClosed` before it returns. */
  close(): void;
}

export interface ClientWebSocketOptions {
  /** The request that became the WebSocket. */
  request: { readonly id: ExchangeId; limitedBy: LimitName | null };
  events: WebSocketEvents;
  now: () => number;
  /** Longest time in which the client takes no bytes; 0: no limit. */
  sendTimeoutMs: number;
  /** When a silent client is pinged and cut off; absent: as usual. */
  silence: SilenceLimits | undefined;
  /** The client takes compressed messages. */
  compresses: boolean;
  /** The client took no bytes for `sendTimeoutMs`. Its connection is cut afterwards. */
  onSlow: () => void;
  /** The WebSocket is over. Called before `onClose`. */
  onEnd: (sentBytes: number) => void;
  /** A bug in Edgicorn: a callback threw. The connection is cut. */
  onError: (error: unknown) => void;
}

/**
 * The client's side of a WebSocket. An engine passes the events of its library on, which frames the messages.
 *
 *     open ──close──▶ closing ──messages left──▶ ended
 *       └── client's close frame, cut, lost ──────▲
 *
 * Invariant: no method of the library's socket is called once the library has called `close`. Otherwise it throws.
 */
export class ClientWebSocket implements WebSocketSide, Transferring {
  readonly request: ClientWebSocketOptions["request"];
  readonly #options: ClientWebSocketOptions;
  #socket: EngineSocket | null = null;
  #writer: WebSocketWriter | null = null;
  #state: "open" | "closing" | "ended" = "open";
  /** The close frame that follows the messages that wait. */
  #farewell: WebSocketEnd = { code: CLOSE_CODES.none, reason: "" };
  #closingMs = 0;
  #heardMs: number;
  #pings = 0;
  #pingedMs = 0;
  /** Bytes sent until the client was last heard. */
  #sentBefore = 0;
  /** Bytes that the library held at the last check while no message waited. */
  #heldBytes = 0;
  /** Last time at which the client took bytes, or nothing waited for it. */
  #progressMs = 0;
  /** A ping waits in the library. */
  #pingWaits = false;
  /** The latest ping that came meanwhile; it stands for all of them (RFC 6455 section 5.5.3). */
  #nextPing: Uint8Array | null = null;

  constructor(options: ClientWebSocketOptions) {
    this.request = options.request;
    this.#options = options;
    this.#heardMs = options.now();
  }

  get id(): ExchangeId {
    return this.request.id;
  }

  /** False once messages of the client are dropped. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  /** Takes the library's socket. Must be called before any other event. */
  opened(socket: EngineSocket): void {
    this.#socket = socket;
    this.#writer = new WebSocketWriter(socket, {
      compresses: this.#options.compresses,
      now: this.#options.now,
      defer: (callback) => setImmediate(() => this.#guard(callback)),
      onRoom: () => this.#onRoom(),
    });
  }

  send(bytes: Uint8Array, isBinary: boolean): "took" | "buffered" | "dropped" {
    const writer = this.#writer;
    if (this.#state !== "open" || writer === null) return "dropped";
    return writer.send(bytes, isBinary) ? "took" : "buffered";
  }

  get bufferedBytes(): number {
    return this.#writer?.bufferedBytes ?? 0;
  }

  ping(bytes: Uint8Array): void {
    const socket = this.#socket;
    if (this.#state !== "open" || socket === null) return;
    if (this.#pingWaits && socket.getBufferedAmount() > 0) {
      this.#nextPing = bytes;
      return;
    }
    this.#nextPing = null;
    socket.ping(bytes);
    this.#pingWaits = socket.getBufferedAmount() > 0;
  }

  close(code: number, reason: string): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#closingMs = this.#options.now();
    this.#farewell = { code, reason };
    if (this.#writer?.isBlocked !== true) this.#sayFarewell();
  }

  destroy(): void {
    if (this.#state !== "ended") this.#socket?.close();
  }

  /** Closes at once because the server stops: with a close frame, unless messages wait. */
  dismiss(): void {
    this.close(CLOSE_CODES.goingAway, "the server stops");
    this.destroy();
  }

  cutOff(): void {
    this.destroy();
  }

  /** Cuts off a client that is lost or too slow, and pings a silent one. Called about once a second. */
  check(nowMs: number, options: { keepAlive: boolean }): void {
    const writer = this.#writer;
    const socket = this.#socket;
    if (writer === null || socket === null || this.#state === "ended") return;
    if (options.keepAlive) writer.nudge();
    const { sendTimeoutMs } = this.#options;
    if (this.#state === "closing" && nowMs - this.#closingMs > CLOSING_MS) {
      this.destroy();
      return;
    }
    if (writer.isBlocked) {
      this.#heldBytes = 0;
      this.#progressMs = writer.progressMs;
    } else this.#checkHeld(socket, nowMs);
    if (sendTimeoutMs > 0 && nowMs - this.#progressMs > sendTimeoutMs) {
      this.#options.onSlow();
      this.destroy();
    } else if (this.#state === "open") {
      if (this.#nextPing !== null) this.ping(this.#nextPing);
      this.#checkSilence(socket, nowMs);
    }
  }

  /** Notes whether the client takes the pings and the answers to pings that the library holds. */
  #checkHeld(socket: EngineSocket, nowMs: number): void {
    const heldBytes = socket.getBufferedAmount();
    if (this.#heldBytes === 0 || heldBytes < this.#heldBytes) this.#progressMs = nowMs;
    this.#heldBytes = heldBytes;
  }

  #checkSilence(socket: EngineSocket, nowMs: number): void {
    const silence = {
      heardMs: this.#heardMs,
      pings: this.#pings,
      pingedMs: this.#pingedMs,
      sentBytes: this.#sentBytes - this.#sentBefore,
    };
    const verdict = judgeSilence(silence, nowMs, this.#options.silence);
    if (verdict === "lost") this.destroy();
    else if (verdict === "ping") {
      this.#pings++;
      this.#pingedMs = nowMs;
      socket.ping(OWN_PING);
    }
  }

  /** A callback of the library: the client sent a message. */
  onMessage(bytes: Uint8Array, isBinary: boolean): void {
    this.#hear();
    if (this.#state !== "open") return;
    if (bytes.byteLength > LARGEST_MESSAGE_BYTES) {
      this.close(CLOSE_CODES.messageTooBig, "a message may have 16 MiB");
      return;
    }
    this.#guard(() => this.#options.events.onMessage(bytes, isBinary));
  }

  /** A callback of the library, which has answered the ping. */
  onPing(bytes: Uint8Array): void {
    this.#hear();
    this.#limitHeld();
    if (this.#state !== "open") return;
    this.#guard(() => this.#options.events.onPing(bytes));
  }

  /** A callback of the library: the client answered a ping. */
  onPong(bytes: Uint8Array): void {
    this.#hear();
    if (this.#state !== "open" || OWN_PING.equals(bytes)) return;
    this.#guard(() => this.#options.events.onPong(bytes));
  }

  /** A callback of the library: it holds fewer bytes than before. */
  onDrain(): void {
    this.#guard(() => {
      if (this.#socket?.getBufferedAmount() === 0) this.#pingWaits = false;
      this.#writer?.onDrain();
    });
  }

  /** A callback of the library: the WebSocket is over. */
  onClosed(end: WebSocketEnd): void {
    if (this.#state === "ended") return;
    const isOwn = this.#state === "closing";
    this.#state = "ended";
    this.#writer?.stop();
    this.#guard(() => this.#options.onEnd(this.#sentBytes));
    this.#guard(() => this.#options.events.onClose(isOwn ? this.#farewell : end));
  }

  get #sentBytes(): number {
    return this.#writer?.sentBytes ?? 0;
  }

  #onRoom(): void {
    if (this.#state === "open") this.#options.events.onRoom();
    else if (this.#state === "closing") this.#sayFarewell();
  }

  #sayFarewell(): void {
    const { code, reason } = this.#farewell;
    this.#socket?.end(code, reason);
  }

  /** Cuts a client that sends pings and does not read the answers. */
  #limitHeld(): void {
    const socket = this.#socket;
    if (this.#state === "ended" || socket === null) return;
    if (socket.getBufferedAmount() > MOST_HELD_BYTES) this.destroy();
  }

  #hear(): void {
    this.#heardMs = this.#options.now();
    this.#pings = 0;
    this.#sentBefore = this.#sentBytes;
  }

  /** Runs code that must not throw: an exception that reaches the library ends the process. */
  #guard(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.#options.onError(error);
      this.destroy();
    }
  }
}

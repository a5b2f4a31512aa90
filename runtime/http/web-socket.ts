import type { SilenceLimits } from "./web-socket-liveness.ts";

/**
 * Largest message that a WebSocket carries, in either direction. Proxies and engines hold whole messages in memory
 * (decision 059).
 */
export const LARGEST_MESSAGE_BYTES = 16 * 1024 * 1024;

/** Close codes of RFC 6455 section 7.4.1 and of its registry. The last two never travel in a frame. */
export const CLOSE_CODES = {
  goingAway: 1001,
  protocolError: 1002,
  invalidText: 1007,
  messageTooBig: 1009,
  internalError: 1011,
  restart: 1012,
  tryAgainLater: 1013,
  /** The close frame had no code. */
  none: 1005,
  /** The connection ended without a close frame. */
  abnormal: 1006,
} as const;

/** The end of one side of a WebSocket. */
export interface WebSocketEnd {
  /** Close code: 1005 if the close frame had none, 1006 if there was no close frame. */
  readonly code: number;
  readonly reason: string;
  /** The client broke a rule or a limit. */
  readonly isRefusal?: true;
}

/** The answer 101 to a request for a WebSocket. */
export interface WebSocketAnswer {
  /** The subprotocol, one of those that the client offers; `null`: none. */
  readonly protocol: string | null;
  /** Field block of the answer, without the fields of the handshake. */
  readonly fields: string;
  /** When a silent client is pinged and cut off; absent: as usual. */
  readonly silence?: SilenceLimits;
  /** Accepts permessage-deflate if the client offers it (RFC 7692); absent: declines it. */
  readonly compresses?: boolean;
}

/** A request of a client for a WebSocket, which its responder may accept instead of a reply. */
export interface WebSocketOffer {
  /** The client asks for version 13 of the protocol. A responder answers others 426 (RFC 6455 section 4.4). */
  readonly isCurrent: boolean;
  /**
   * Answers 101, through the filters. The exchange then ends with the WebSocket.
   *
   * @returns `null`: the client has left, or its request was answered already.
   */
  accept(answer: WebSocketAnswer, events: WebSocketEvents): WebSocketSide | null;
}

/** Receives the events of the client's side. None comes during `accept`, and none after `onClose`. */
export interface WebSocketEvents {
  /** A whole message, at most `LARGEST_MESSAGE_BYTES`. The bytes are lent for the call. Text is valid UTF-8. */
  onMessage(bytes: Uint8Array, isBinary: boolean): void;
  /** The client sent a ping. The engine answers it. */
  onPing(bytes: Uint8Array): void;
  /** The client answered a ping of `ping`. */
  onPong(bytes: Uint8Array): void;
  /** All messages have left that `send` reported as buffered. */
  onRoom(): void;
  /** The WebSocket is over. Called once, also after `close` and `destroy`. */
  onClose(end: WebSocketEnd): void;
}

/**
 * The client's side of a WebSocket, independent of the engine.
 *
 *     open ──close, or the client's close frame──▶ closing ──buffered messages left──▶ closed
 *       └───────── destroy, client lost, or a limit ──────────┴─────────────────────────▲
 */
export interface WebSocketSide {
  /**
   * Sends a message. The engine keeps the bytes until they have left: the caller must not change them.
   *
   * @returns `took`: the client may get more. `buffered`: the message waits, and `onRoom` will follow once nothing waits.
   *   `dropped`: the WebSocket is closing or closed.
   */
  send(bytes: Uint8Array, isBinary: boolean): "took" | "buffered" | "dropped";
  /** Bytes of messages that wait for the client, with the memory that each message takes beside them. */
  readonly bufferedBytes: number;
  /** Sends a ping of at most 125 bytes, also between the pieces of a message. */
  ping(bytes: Uint8Array): void;
  /** Sends a close frame behind the buffered messages, and closes. Events other than `onClose` no longer come. */
  close(code: number, reason: string): void;
  /** Cuts the connection. */
  destroy(): void;
}

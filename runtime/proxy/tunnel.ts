import type { Duplex } from "node:stream";
import {
  CLOSE_CODES,
  type WebSocketEnd,
  type WebSocketEvents,
  type WebSocketSide,
} from "../http/web-socket.ts";
import { UpstreamWebSocket } from "./upstream-web-socket.ts";
import type { WaitingBytes } from "./waiting-bytes.ts";
import type { WebSocketFrames } from "./web-socket-frames.ts";

export interface TunnelOptions {
  frames: WebSocketFrames;
  /** The bytes of all tunnels. */
  waiting: WaitingBytes;
  /** Called once, when both sides are closed. */
  onOver: () => void;
}

/**
 * Relays the messages of a WebSocket between a client and an upstream.
 *
 *     both ──client ended──▶ upstream only ──upstream closed, or too slow──▶ over
 *       └──upstream ended──▶ client only ──client closed, or too slow──▶ over
 *
 * A message that waits for the client pauses the upstream. Invariant: while the upstream is paused, the client's side
 * has a message that waits, so `onRoom` or `onClose` will come.
 *
 * Pings travel from end to end, but each side answers at once the pings that its library answers by itself: the client
 * answers those of the upstream, and the engine those of the client.
 */
export class Tunnel implements WebSocketEvents {
  readonly #upstream: UpstreamWebSocket;
  readonly #waiting: WaitingBytes;
  readonly #onOver: () => void;
  /** `null`: the client's side is not there yet. */
  #client: WebSocketSide | null = null;
  #isClientOver = false;
  #isUpstreamOver = false;

  constructor(socket: Duplex, { frames, waiting, onOver }: TunnelOptions) {
    this.#waiting = waiting;
    this.#onOver = onOver;
    this.#upstream = new UpstreamWebSocket(socket, {
      frames,
      waiting,
      events: {
        onMessage: (bytes, isBinary) => {
          if (this.#client?.send(bytes, isBinary) === "buffered") this.#upstream.pause();
        },
        onPing: (bytes) => this.#client?.ping(bytes),
        onEnd: ({ code, reason }) => {
          const isLost = code === CLOSE_CODES.abnormal || code === CLOSE_CODES.protocolError;
          this.#client?.close(isLost ? CLOSE_CODES.internalError : code, reason);
        },
        onClosed: () => {
          this.#isUpstreamOver = true;
          this.#endIfOver();
        },
      },
    });
  }

  /**
   * Begins to relay.
   *
   * @param first Bytes that came with the upstream's answer.
   */
  begin(client: WebSocketSide, first: Uint8Array): void {
    this.#client = client;
    this.#upstream.begin(first);
  }

  /** Ends before it began: the client gets no WebSocket. */
  abandon(): void {
    this.#isClientOver = true;
    this.#upstream.destroy();
  }

  onMessage(bytes: Uint8Array, isBinary: boolean): void {
    this.#upstream.send(bytes, isBinary);
    this.#limit();
  }

  onPing(bytes: Uint8Array): void {
    this.#upstream.ping(bytes);
    this.#limit();
  }

  onPong(bytes: Uint8Array): void {
    this.#upstream.pong(bytes);
    this.#limit();
  }

  onRoom(): void {
    this.#upstream.resume();
  }

  onClose(end: WebSocketEnd): void {
    this.#isClientOver = true;
    if (end.code === CLOSE_CODES.abnormal) this.#upstream.drop();
    else this.#upstream.close(end);
    this.#endIfOver();
  }

  /** Closes a client that sends faster than its upstream reads: the engine cannot pause it. */
  #limit(): void {
    if (this.#waiting.isTooMuch(this.#upstream.waitingBytes))
      this.#client?.close(CLOSE_CODES.tryAgainLater, "the upstream reads too slowly");
  }

  #endIfOver(): void {
    if (this.#isClientOver && this.#isUpstreamOver) this.#onOver();
  }
}

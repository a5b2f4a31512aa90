import type { Duplex } from "node:stream";
import {
  CLOSE_CODES,
  type WebSocketEnd,
  type WebSocketEvents,
  type WebSocketSide,
} from "../http/web-socket.ts";
import { UpstreamWebSocket } from "./upstream-web-socket.ts";
import type { WebSocketFrames } from "./web-socket-frames.ts";

/**
 * Most bytes that wait for an upstream: four of the largest messages. The engine cannot pause a client, so a client that
 * sends faster than its upstream reads is closed.
 */
const MOST_WAITING_BYTES = 64 * 1024 * 1024;

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
  readonly #onOver: () => void;
  /** `null`: the client's side is not there yet. */
  #client: WebSocketSide | null = null;
  #isClientOver = false;
  #isUpstreamOver = false;

  /** @param options.onOver Called once, when both sides are closed. */
  constructor(socket: Duplex, { frames, onOver }: { frames: WebSocketFrames; onOver: () => void }) {
    this.#onOver = onOver;
    this.#upstream = new UpstreamWebSocket(socket, {
      frames,
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
    if (this.#upstream.waitingBytes > MOST_WAITING_BYTES)
      this.#client?.close(CLOSE_CODES.tryAgainLater, "the upstream reads too slowly");
  }

  onPing(bytes: Uint8Array): void {
    this.#upstream.ping(bytes);
  }

  onPong(bytes: Uint8Array): void {
    this.#upstream.pong(bytes);
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

  #endIfOver(): void {
    if (this.#isClientOver && this.#isUpstreamOver) this.#onOver();
  }
}

import type { Duplex } from "node:stream";
import {
  CLOSE_CODES,
  type WebSocketEnd,
  type WebSocketEvents,
  type WebSocketSide,
} from "../http/web-socket.ts";
import { assertNever } from "../lib/errors.ts";
import { type UpstreamEnd, UpstreamWebSocket } from "./upstream-web-socket.ts";
import type { WaitingBytes } from "../lib/waiting-bytes.ts";
import type { WebSocketFrames } from "../http/web-socket-frames.ts";

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
  #state: "both" | "upstream only" | "client only" | "over" = "both";

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
        onEnd: (end) => {
          const { code, reason } = toClientEnd(end);
          this.#client?.close(code, reason);
        },
        onClosed: () => this.#leave("client only"),
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
    this.#state = "upstream only";
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
    if (end.code === CLOSE_CODES.abnormal) this.#upstream.drop();
    else this.#upstream.close(end);
    this.#leave("upstream only");
  }

  /** Closes a client that sends faster than its upstream reads: the engine cannot pause it. */
  #limit(): void {
    if (this.#waiting.isTooMuch(this.#upstream.waitingBytes))
      this.#client?.close(CLOSE_CODES.tryAgainLater, "the upstream reads too slowly");
  }

  /** One side has closed. */
  #leave(rest: "upstream only" | "client only"): void {
    this.#state = this.#state === "both" ? rest : "over";
    if (this.#state === "over") this.#onOver();
  }
}

/** Returns the end that the client gets: it must not take the blame for a rule that the upstream broke. */
function toClientEnd(end: UpstreamEnd): WebSocketEnd {
  switch (end.kind) {
    case "closed":
      return end;
    case "too-large":
      return { code: CLOSE_CODES.messageTooBig, reason: "" };
    case "invalid":
    case "lost":
      return { code: CLOSE_CODES.internalError, reason: "" };
    default:
      return assertNever(end);
  }
}

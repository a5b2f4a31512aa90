import type { Socket } from "node:net";
import { LAST_REQUEST_MS } from "./last-request.ts";
import type { OpenConnection } from "./listener-context.ts";

/** The first bytes of HTTP/2 (RFC 9113 section 3.4) that no request of HTTP/1 begins with. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/**
 * Waits for the first bytes of a connection without TLS, which tell its protocol, and puts them back.
 *
 *     waiting ──bytes that differ from the preface, or the whole of it──▶ onProtocol
 *        └── end, error or timeout ──▶ onClosed
 */
export class FirstBytes implements OpenConnection {
  readonly #socket: Socket;
  #timeoutMs: number;
  readonly #onProtocol: (isHttp2: boolean) => void;
  readonly #onClosed: () => void;
  readonly #sinceMs = performance.now();
  #bytes: Buffer = Buffer.alloc(0);

  /** @param options.timeoutMs Longest time until the first bytes have come. */
  constructor(
    socket: Socket,
    options: {
      timeoutMs: number;
      onProtocol: (isHttp2: boolean) => void;
      onClosed: () => void;
    },
  ) {
    this.#socket = socket;
    this.#timeoutMs = options.timeoutMs;
    this.#onProtocol = options.onProtocol;
    this.#onClosed = options.onClosed;
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("close", this.#onClosed);
    socket.on("error", ignore);
  }

  check(nowMs: number): void {
    if (nowMs - this.#sinceMs > this.#timeoutMs) this.#socket.destroy();
  }

  /** The first bytes may be on their way, and the connection then ends with its first response. */
  drain(): void {
    this.#timeoutMs = Math.min(this.#timeoutMs, LAST_REQUEST_MS);
  }

  readonly #onData = (bytes: Buffer): void => {
    const all = this.#bytes.length === 0 ? bytes : Buffer.concat([this.#bytes, bytes]);
    this.#bytes = all;
    const common = Math.min(all.length, PREFACE.length);
    const isHttp2 = all.subarray(0, common).equals(PREFACE.subarray(0, common));
    if (isHttp2 && all.length < PREFACE.length) return;
    this.#socket.off("data", this.#onData);
    this.#socket.off("end", this.#onEnd);
    this.#socket.off("close", this.#onClosed);
    this.#socket.off("error", ignore);
    this.#socket.pause();
    this.#socket.unshift(all);
    this.#onProtocol(isHttp2);
    if (!isHttp2) this.#socket.resume();
  };

  readonly #onEnd = (): void => {
    this.#socket.destroy();
  };
}

function ignore(): void {}

import type {
  BodyFlow,
  BodySink,
  Client,
  ExchangeId,
  RequestHead,
  UpstreamNote,
  WorkerId,
} from "../http/client.ts";
import type { LimitName } from "../http/limit-names.ts";
import { isSource, type Reply, toRefusal } from "../http/reply.ts";

export interface FetchClientOptions {
  id: ExchangeId;
  /** A GET request without a body. */
  head: RequestHead;
  /** Called once with the reply, in which bytes are lent; never after `leave`. */
  onReply: (reply: Reply) => void;
}

/**
 * The client of a request that the cache sends to the responder behind it. It is no visitor: the request goes on when the
 * visitor leaves for whom it was sent.
 *
 *     open ──reply, refusal──▶ settled
 *       └────── leave ───────────▲
 */
export class FetchClient implements Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs: number;
  workerId: WorkerId | null = null;
  upstream: UpstreamNote | null = null;
  limitedBy: LimitName | null = null;
  isLogged = false;
  /** The replies to visitors pass their own filters. */
  readonly filters = null;
  readonly finishing = null;
  readonly #onReply: (reply: Reply) => void;
  #onAbort: (() => void) | null = null;
  #settled = false;

  constructor({ id, head, onReply }: FetchClientOptions) {
    this.id = id;
    this.head = head;
    this.receivedMs = performance.now();
    this.#onReply = onReply;
  }

  get settled(): boolean {
    return this.#settled;
  }

  get begun(): boolean {
    return this.#settled;
  }

  receiveBody(sink: BodySink): BodyFlow {
    sink.end();
    return { pause: () => {}, resume: () => {} };
  }

  /** Does nothing: there is no body. */
  holdBody(): void {}

  /** Does nothing: the limits are those of visitors. */
  limitTransfers(): void {}

  onAbort(callback: () => void): void {
    this.#onAbort = callback;
  }

  reply(reply: Reply): void {
    if (this.#settled) {
      if (isSource(reply.body)) reply.body.cancel();
      return;
    }
    this.#settled = true;
    this.#onReply(reply);
  }

  refuse(status: number, options: { close?: boolean; retryAfterSeconds?: number } = {}): void {
    this.reply(toRefusal(status, options.retryAfterSeconds));
  }

  /** Ends the request before its reply, as a client that leaves. */
  leave(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#onAbort?.();
  }
}

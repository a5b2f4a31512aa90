import type {
  BodyFlow,
  BodySink,
  Client,
  ExchangeId,
  RequestHead,
  UpstreamNote,
  WorkerId,
} from "./client.ts";
import type { CacheResult } from "./cache-result.ts";
import type { Inquiry } from "./inquiry.ts";
import type { LimitName } from "./limit-names.ts";
import { applyFilters, isSource, type Reply, type ReplyFilter, toRefusal } from "./reply.ts";
import { runFinishing } from "./when-finished.ts";

export interface OwnClientOptions {
  id: ExchangeId;
  /** The access log has a line for the request. */
  isLogged: boolean;
  /** A GET request without a body. */
  head: RequestHead;
  /** The request is explained, and not answered. */
  inquiry?: Inquiry;
  /** Called once with the reply, after its filters, in which bytes are lent; never after `leave`. */
  onReply: (reply: Reply) => void;
}

/**
 * The client of a request that the server itself sends to one of its responders, or explains. No socket belongs to it: the
 * owner of the request gets the reply, and ends the request with `leave`.
 *
 *     open ──reply, refusal──▶ settled
 *       └────── leave ───────────▲
 */
export class OwnClient implements Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs: number;
  workerId: WorkerId | null = null;
  upstream: UpstreamNote | null = null;
  limitedBy: LimitName | null = null;
  series = 0;
  isLogged: boolean;
  cached: CacheResult | null = null;
  filters: ReplyFilter[] | null = null;
  finishing: (() => void)[] | null = null;
  readonly inquiry: Inquiry | undefined;
  readonly #onReply: (reply: Reply) => void;
  #onAbort: (() => void) | null = null;
  #settled = false;

  constructor({ id, head, isLogged, inquiry, onReply }: OwnClientOptions) {
    this.id = id;
    this.isLogged = isLogged;
    this.head = head;
    this.inquiry = inquiry;
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

  /** Does nothing: this client is never slow. */
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
    this.#onReply(this.filters === null ? reply : applyFilters(reply, this));
    if (this.finishing !== null) runFinishing(this);
  }

  refuse(status: number, options: { close?: boolean; retryAfterSeconds?: number } = {}): void {
    this.reply(toRefusal(status, options.retryAfterSeconds));
  }

  /** Ends the request before its reply, as a client that leaves. */
  leave(): void {
    if (this.#settled) return;
    this.#settled = true;
    this.#onAbort?.();
    if (this.finishing !== null) runFinishing(this);
  }
}

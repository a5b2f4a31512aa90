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
  head: RequestHead;
  /** The body of the request, or a function that begins to pass it on. Absent: it has none. */
  body?: Uint8Array | ((sink: BodySink) => BodyFlow);
  /** The request is explained, and not answered. */
  inquiry?: Inquiry;
  /** Called once with the reply, after its filters, in which bytes are lent; never after `leave`. */
  onReply: (reply: Reply) => void;
}

const NO_BODY = new Uint8Array(0);

/** Largest chunk of a body. */
const CHUNK_BYTES = 64 * 1024;

/**
 * The client of a request that the server itself sends to one of its responders, or explains. No socket belongs to it: the
 * owner of the request gets the reply, and ends the request with `leave`.
 *
 *     open ──reply, refusal──▶ settled
 *       └────── leave ───────────▲
 *
 * The reply does not end the body of the request: a responder may read it until the end of its own answer.
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
  passedOn = false;
  filters: ReplyFilter[] | null = null;
  finishing: (() => void)[] | null = null;
  readonly inquiry: Inquiry | undefined;
  readonly #onReply: (reply: Reply) => void;
  readonly #body: Uint8Array | ((sink: BodySink) => BodyFlow);
  #onAbort: (() => void) | null = null;
  #settled = false;
  #hasLeft = false;

  constructor({ id, head, isLogged, inquiry, body, onReply }: OwnClientOptions) {
    this.id = id;
    this.isLogged = isLogged;
    this.head = head;
    this.inquiry = inquiry;
    this.receivedMs = performance.now();
    this.#body = body ?? NO_BODY;
    this.#onReply = onReply;
  }

  get settled(): boolean {
    return this.#settled;
  }

  get begun(): boolean {
    return this.#settled;
  }

  receiveBody(sink: BodySink): BodyFlow {
    if (typeof this.#body === "function") return this.#body(sink);
    if (this.#body.length > 0) return this.#feed(sink, this.#body);
    sink.end();
    return { pause: () => {}, resume: () => {} };
  }

  #feed(sink: BodySink, body: Uint8Array): BodyFlow {
    let at = 0;
    const state = { isPaused: false, isOver: false };
    const pump = (): void => {
      while (!state.isPaused && !state.isOver && !this.#hasLeft) {
        if (at === body.length) {
          state.isOver = true;
          sink.end();
          return;
        }
        const chunk = body.subarray(at, at + CHUNK_BYTES);
        at += chunk.length;
        sink.chunk(chunk);
      }
    };
    // The sink gets the flow before the first chunk, which may pause it.
    setImmediate(pump);
    return {
      pause: () => (state.isPaused = true),
      resume() {
        if (!state.isPaused) return;
        state.isPaused = false;
        setImmediate(pump);
      },
    };
  }

  /** Does nothing: the body waits until it is received. */
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

  /** Ends the request before its reply, as a client that leaves. After the reply, ends only its body. */
  leave(): void {
    this.#hasLeft = true;
    if (this.#settled) return;
    this.#settled = true;
    this.#onAbort?.();
    if (this.finishing !== null) runFinishing(this);
  }
}

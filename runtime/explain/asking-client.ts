import type {
  BodyFlow,
  BodySink,
  Client,
  ExchangeId,
  RequestHead,
  UpstreamNote,
  WorkerId,
} from "../http/client.ts";
import type { CacheResult } from "../http/cache-result.ts";
import type { LimitName } from "../http/limit-names.ts";
import { applyFilters, isSource, type Reply, type ReplyFilter, toRefusal } from "../http/reply.ts";
import { InquiryRecord } from "./record.ts";

/** The end of an inquiry: the reply through the filters; `null`: a worker or an upstream server would answer. */
export type InquiryEnd = Omit<Reply, "body"> | null;

/** The client of a request that is explained. It has no socket and no body, and keeps the head of its reply. */
export class AskingClient implements Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs = performance.now();
  readonly inquiry: InquiryRecord;
  /** Resolves once. */
  readonly ended: Promise<InquiryEnd>;
  workerId: WorkerId | null = null;
  upstream: UpstreamNote | null = null;
  cached: CacheResult | null = null;
  limitedBy: LimitName | null = null;
  isLogged = false;
  filters: ReplyFilter[] | null = null;
  finishing: (() => void)[] | null = null;
  #end: (end: InquiryEnd) => void = () => {};
  #onAbort: (() => void) | null = null;
  #settled = false;

  constructor({ id, head }: { id: ExchangeId; head: RequestHead }) {
    this.id = id;
    this.head = head;
    this.ended = new Promise((resolve) => {
      this.#end = resolve;
    });
    this.inquiry = new InquiryRecord(() => this.#settle(null));
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
    const { body, ...head } = applyFilters(reply, this);
    if (isSource(body)) body.cancel();
    this.#settle(head);
  }

  refuse(status: number, options: { retryAfterSeconds?: number } = {}): void {
    this.reply(toRefusal(status, options.retryAfterSeconds));
  }

  /** Ends an inquiry that takes too long. */
  leave(): void {
    if (this.#settled) return;
    this.#onAbort?.();
    this.#settle(null);
  }

  #settle(end: InquiryEnd): void {
    if (this.#settled) return;
    this.#settled = true;
    for (const callback of this.finishing ?? []) callback();
    this.#end(end);
  }
}

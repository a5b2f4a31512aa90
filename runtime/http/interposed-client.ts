import type {
  BodyFlow,
  BodySink,
  Client,
  ExchangeId,
  HeldBodySink,
  RequestHead,
  TransferLimits,
  UpstreamNote,
  WorkerId,
} from "./client.ts";
import type { CacheResult } from "./cache-result.ts";
import type { Inquiry } from "./inquiry.ts";
import type { LimitName } from "./limit-names.ts";
import { isSource, type Reply, type ReplyFilter, toRefusal } from "./reply.ts";
import type { Timings } from "./timings.ts";
import type { WebSocketOffer } from "./web-socket.ts";

export interface InterposedOptions {
  id: ExchangeId;
  head: RequestHead;
  /** Called once with the reply, before any filter, instead of the client. */
  onReply: (reply: Reply) => void;
}

/**
 * Stands between a client and its responder: the reply goes to a function, which may answer the client with it or with
 * another one. Everything else goes to the client.
 */
export class InterposedClient implements Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs: number;
  readonly #inner: Client;
  readonly #onReply: InterposedOptions["onReply"];
  #hasReplied = false;

  constructor(inner: Client, { id, head, onReply }: InterposedOptions) {
    this.#inner = inner;
    this.id = id;
    this.head = head;
    this.receivedMs = inner.receivedMs;
    this.#onReply = onReply;
  }

  get connection(): object | null {
    return this.#inner.connection ?? null;
  }

  get settled(): boolean {
    return this.#hasReplied || this.#inner.settled;
  }

  get begun(): boolean {
    return this.#inner.begun;
  }

  get workerId(): WorkerId | null {
    return this.#inner.workerId;
  }

  set workerId(workerId: WorkerId | null) {
    this.#inner.workerId = workerId;
  }

  get upstream(): UpstreamNote | null {
    return this.#inner.upstream ?? null;
  }

  set upstream(note: UpstreamNote | null) {
    this.#inner.upstream = note;
  }

  get cached(): CacheResult | null {
    return this.#inner.cached ?? null;
  }

  set cached(result: CacheResult | null) {
    this.#inner.cached = result;
  }

  get passedOn(): boolean {
    return this.#inner.passedOn ?? false;
  }

  set passedOn(isPassedOn: boolean) {
    this.#inner.passedOn = isPassedOn;
  }

  get timings(): Timings | null {
    return this.#inner.timings ?? null;
  }

  set timings(timings: Timings | null) {
    this.#inner.timings = timings;
  }

  get limitedBy(): LimitName | null {
    return this.#inner.limitedBy;
  }

  set limitedBy(limit: LimitName | null) {
    this.#inner.limitedBy = limit;
  }

  get isLogged(): boolean {
    return this.#inner.isLogged;
  }

  set isLogged(isLogged: boolean) {
    this.#inner.isLogged = isLogged;
  }

  get series(): number {
    return this.#inner.series ?? 0;
  }

  set series(series: number) {
    this.#inner.series = series;
  }

  get filters(): ReplyFilter[] | null {
    return this.#inner.filters;
  }

  set filters(filters: ReplyFilter[] | null) {
    this.#inner.filters = filters;
  }

  get inquiry(): Inquiry | undefined {
    return this.#inner.inquiry;
  }

  get webSocket(): WebSocketOffer | null {
    return this.#inner.webSocket ?? null;
  }

  get finishing(): (() => void)[] | null {
    return this.#inner.finishing;
  }

  set finishing(finishing: (() => void)[] | null) {
    this.#inner.finishing = finishing;
  }

  receiveBody(sink: BodySink): BodyFlow {
    return this.#inner.receiveBody({
      chunk: (bytes) => {
        if (!this.#hasReplied) sink.chunk(bytes);
      },
      end: () => {
        if (!this.#hasReplied) sink.end();
      },
    });
  }

  holdBody(held: HeldBodySink): void {
    this.#inner.holdBody(held);
  }

  limitTransfers(limits: TransferLimits): void {
    this.#inner.limitTransfers(limits);
  }

  onAbort(callback: () => void): void {
    this.#inner.onAbort(callback);
  }

  reply(reply: Reply): void {
    if (this.settled) {
      if (isSource(reply.body)) reply.body.cancel();
      return;
    }
    this.#hasReplied = true;
    this.#onReply(reply);
  }

  refuse(status: number, options: { close?: boolean; retryAfterSeconds?: number } = {}): void {
    if (options.close === true) {
      this.#hasReplied = true;
      this.#inner.refuse(status, options);
    } else {
      this.reply(toRefusal(status, options.retryAfterSeconds));
    }
  }
}

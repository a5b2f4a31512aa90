import { BytesSource } from "../../bodies/body-sources.ts";
import type { CacheResult } from "../../http/cache-result.ts";
import type {
  BodyFlow,
  BodySink,
  BodySource,
  ExchangeId,
  HeldBodySink,
  RequestHead,
  UpstreamNote,
  WorkerId,
} from "../../http/client.ts";
import type { LimitName } from "../../http/limit-names.ts";
import {
  filterReply,
  EVENT_STREAM_OPENING,
  hasBody,
  isSmall,
  isSource,
  type Reply,
  type ReplyFilter,
  takesComments,
  toRefusal,
} from "../../http/reply.ts";
import { findBreach, type TransferLimits, valueOf } from "../../http/transfer-limits.ts";
import type { Handshake } from "../../http/web-socket-handshake.ts";
import type { WebSocketFrames } from "../../http/web-socket-frames.ts";
import { type AgreedDeflate, agreeOnDeflate } from "../../http/web-socket-deflate.ts";
import { findField } from "../../http/find-field.ts";
import {
  LARGEST_MESSAGE_BYTES,
  type WebSocketAnswer,
  type WebSocketEvents,
  type WebSocketOffer,
  type WebSocketSide,
} from "../../http/web-socket.ts";
import { runFinishing } from "../../http/when-finished.ts";
import type { TurnClock } from "../../lib/turn-clock.ts";
import { createSide, prepareAcceptance, type WebSocketContext } from "../accept-web-socket.ts";
import type { CountedClient } from "../listener-counts.ts";
import type { Transferring } from "../transfer-sweep.ts";
import { BodyProgress } from "./body-progress.ts";
import type { MessageDeflater } from "./message-deflate.ts";
import { NodeWebSocket } from "./node-web-socket.ts";
import { ReplyStream } from "./reply-stream.ts";
import type { PreparedHead, ResponseHead, Transport } from "./transport.ts";

/** Statuses for the log only. Nginx introduced 499. */
const CLIENT_LEFT = 499;
const BROKEN_OFF = 502;

/** A valid request for a WebSocket. With HTTP/2 it has no key. */
export type UpgradeRequest = Omit<Handshake, "key"> & { readonly key: string | null };

/** The parts of a listener that its exchanges share. */
export interface ClientContext extends WebSocketContext<NodeClient, PreparedHead> {
  readonly clock: TurnClock;
  /** Compresses messages of WebSockets. */
  readonly deflater: MessageDeflater;
  readonly limits: TransferLimits;
  /** True when the access log or another reader needs the size of small bodies. */
  readonly countsBytes: boolean;
  nextId(): ExchangeId;
  /** Bytes of a request body were read. */
  onBodyBytes(bytes: number): void;
  /** A request or response body is in transfer: the listener must call `check` every second. */
  onTransferStart(client: NodeClient): void;
  onTransferEnd(client: NodeClient): void;
  /** The request has an invalid body. */
  onMalformed(client: NodeClient): void;
  /**
   * Called once per exchange: its response is complete, its client left (status 499), or the server broke it off (502).
   */
  onFinished(client: NodeClient, status: number, bodyBytes: number): void;
}

/**
 * The client's side of an exchange on Node's sockets, in all protocols. A `Transport` writes the bytes.
 *
 *     open ──respond──▶ answering ──last byte taken──▶ finished
 *       ├──────────────────┴────── client left ──────────▲
 *       └──accept──▶ a WebSocket (`ClientWebSocket`) ──end──┘
 *
 * Invariant: nothing is written to the transport once the exchange is finished.
 */
export class NodeClient implements CountedClient, Transferring {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  readonly receivedMs: number;
  workerId: WorkerId | null = null;
  upstream: UpstreamNote | null = null;
  cached: CacheResult | null = null;
  limitedBy: LimitName | null = null;
  isLogged = true;
  series = 0;
  filters: ReplyFilter[] | null = null;
  finishing: (() => void)[] | null = null;
  webSocket: WebSocketOffer | null = null;
  countsForAddress = false;
  readonly #transport: Transport;
  readonly #context: ClientContext;
  #limits: TransferLimits;
  #state: "open" | "answering" | "finished" = "open";
  #abort: (() => void) | null = null;
  /** Bytes of a body may still arrive. */
  #bodyOpen: boolean;
  /** Receives the body; `null`: its bytes are dropped. */
  #sink: BodySink | null = null;
  #progress: BodyProgress | null = null;
  /** Receives the body for a responder that is not known yet. */
  #held: HeldBodySink | null = null;
  /** The client waits for 100 (Continue), and gets it with the decision. Its time does not run until then. */
  #isHeldBack = false;
  #stream: ReplyStream | null = null;
  /** The listener checks the transfer limits. */
  #isChecked = false;
  /** Status for the log if the exchange ends before the response is complete. */
  #leaveStatus: typeof CLIENT_LEFT | typeof BROKEN_OFF = CLIENT_LEFT;

  /** @param transport Must call `onBody`, `onBodyEnd`, `onRoom` and `onGone` as they say. */
  constructor(
    head: RequestHead,
    { transport, context }: { transport: Transport; context: ClientContext },
  ) {
    this.#transport = transport;
    this.#context = context;
    this.id = context.nextId();
    this.receivedMs = context.clock.now();
    this.head = head;
    this.#limits = context.limits;
    this.#bodyOpen = head.bodyBytes !== 0;
  }

  get connection(): object | null {
    return this.#transport.connection ?? null;
  }

  get settled(): boolean {
    return this.#state !== "open";
  }

  get begun(): boolean {
    return this.#stream === null ? this.settled : this.#stream.begun;
  }

  /** True once the response is complete, or the client left. */
  get finished(): boolean {
    return this.#state === "finished";
  }

  holdBody(held: HeldBodySink): void {
    const flow = this.#receive(held);
    this.#isHeldBack = this.#transport.awaitsContinue;
    if (this.#isHeldBack) this.#progress?.pause();
    else this.#wantBody();
    held.start(flow);
    this.#held = held;
  }

  receiveBody(sink: BodySink): BodyFlow {
    if (this.#held === null) {
      const flow = this.#receive(sink);
      this.#wantBody();
      return flow;
    }
    if (this.#isHeldBack) this.#letSend();
    return this.#held.release(sink);
  }

  #letSend(): void {
    this.#isHeldBack = false;
    this.#progress?.resume();
    this.#wantBody();
  }

  #wantBody(): void {
    if (this.#bodyOpen) this.#transport.wantBody();
  }

  #receive(sink: BodySink): BodyFlow {
    this.#sink = sink;
    if (this.#bodyOpen) {
      this.#progress = new BodyProgress(this.receivedMs);
      this.#startChecks();
    }
    return { pause: () => this.#pauseBody(), resume: () => this.#resumeBody() };
  }

  /** Lets the responder accept a WebSocket. */
  offerWebSocket(request: UpgradeRequest, frames: WebSocketFrames): void {
    this.webSocket = {
      isCurrent: request.isCurrent,
      accept: (answer, events) => this.#accept(answer, events, { key: request.key, frames }),
    };
  }

  #accept(
    answer: WebSocketAnswer,
    events: WebSocketEvents,
    { key, frames }: { key: string | null; frames: WebSocketFrames },
  ): WebSocketSide | null {
    if (this.#state !== "open") return null;
    const context = this.#context;
    const fields = prepareAcceptance(answer, this, context);
    if (fields === null) {
      this.refuse(502);
      return null;
    }
    const { protocol, silence } = answer;
    const deflate = answer.compresses === true ? this.#agreeOnDeflate() : null;
    const head = { status: 101, statusText: "", fields, lengthBytes: null, hasBody: false };
    const extensions = deflate?.answer ?? null;
    const stream = this.#transport.upgrade(head, { key, protocol, extensions });
    if (stream === null) {
      this.#abort = null;
      this.cutOff();
      return null;
    }
    this.#state = "answering";
    this.#abort = null;
    const side = createSide<NodeClient>(this, {
      context,
      events,
      limits: () => this.#limits,
      silence,
      compresses: deflate !== null,
      onEnd: (sentBytes) => this.#finish(101, sentBytes),
    });
    const largestBytes = silence?.largestBytes ?? LARGEST_MESSAGE_BYTES;
    const deflater = deflate === null ? null : context.deflater.withWindow(deflate.windowBits);
    side.opened(new NodeWebSocket(stream, { frames, side, largestBytes, deflater }));
    return side;
  }

  #agreeOnDeflate(): AgreedDeflate | null {
    const offers = findField(this.head.fields, "sec-websocket-extensions");
    return agreeOnDeflate(offers, { limitsWindow: true });
  }

  limitTransfers(limits: TransferLimits): void {
    this.#limits = limits;
  }

  onAbort(callback: () => void): void {
    this.#abort = callback;
  }

  reply(reply: Reply): void {
    if (this.#state !== "open") {
      if (isSource(reply.body)) reply.body.cancel();
      return;
    }
    if (this.#send(reply) || this.#send(toRefusal(502))) return;
    // A filter spoils every reply.
    this.filters = null;
    this.#send(toRefusal(502));
  }

  refuse(status: number, options: { close?: boolean; retryAfterSeconds?: number } = {}): void {
    if (this.#state !== "open") return;
    const cutsOff = options.close === true;
    const refusal = toRefusal(status, options.retryAfterSeconds);
    if (this.#send(refusal, cutsOff)) return;
    this.filters = null;
    this.#send(refusal, cutsOff);
  }

  /** The transport has a part of the body. Called after the callback for the head has returned. */
  onBody(bytes: Uint8Array): void {
    this.#context.onBodyBytes(bytes.length);
    // The client does not wait after all.
    if (this.#isHeldBack) this.#letSend();
    this.#progress?.onChunk(bytes.length);
    if (this.#state !== "finished") this.#sink?.chunk(bytes);
  }

  /** The body is complete. Called once, also for a request without a body. */
  onBodyEnd(): void {
    this.#bodyOpen = false;
    this.#progress = null;
    if (this.#stream === null) this.#stopChecks();
    if (this.#state !== "finished") this.#sink?.end();
  }

  /** The body is invalid: answers 400 if nothing was answered yet, and ends the connection. */
  onBadBody(): void {
    if (this.#state === "finished") return;
    this.#context.onMalformed(this);
    if (this.#state === "open") this.#cutOpen(400);
    else this.cutOff();
  }

  /** All written bytes have left. */
  onRoom(): void {
    this.#stream?.onRoom();
  }

  /** The client left, or its connection broke. Does nothing after the end of the exchange. */
  onGone(): void {
    if (this.#state === "finished") return;
    const sentBytes = this.#stream?.sentBytes ?? 0;
    const abort = this.#abort;
    this.#abort = null;
    this.#finish(this.#leaveStatus, sentBytes);
    abort?.();
  }

  /** Cuts off the client if it breaks a limit. The listener calls this once a second while a body is in transfer. */
  check(nowMs: number): void {
    if (this.#state === "finished") return;
    const stream = this.#stream;
    const breach = findBreach(
      {
        receiving: this.#progress?.facts({ answering: stream !== null }) ?? null,
        sending: stream?.blocked === true ? { progressMs: stream.progressMs } : null,
      },
      this.#limits,
      nowMs,
    );
    if (breach === null) return;
    this.#context.onCut(this, breach, valueOf(breach, this.#limits));
    if (this.#state === "open") this.#cutOpen(408);
    else this.cutOff();
  }

  cutOff(): void {
    if (this.#state === "finished") return;
    this.#transport.destroy();
    this.onGone();
  }

  /** Answers with an error, cuts off the client, and tells the owner of its request that no answer is needed. */
  #cutOpen(status: number): void {
    const abort = this.#abort;
    this.#abort = null;
    this.refuse(status, { close: true });
    abort?.();
  }

  #pauseBody(): void {
    if (!this.#bodyOpen || this.#state === "finished") return;
    this.#progress?.pause();
    this.#transport.pauseBody();
  }

  #resumeBody(): void {
    if (!this.#bodyOpen || this.#state === "finished") return;
    this.#progress?.resume();
    this.#transport.resumeBody();
  }

  /**
   * Filters the reply and writes it, as fast as the client takes it.
   *
   * @param cutsOff Ends the connection then, although the client may still send.
   * @returns False: the reply has a field that cannot be written, and nothing was written.
   */
  #send(unfiltered: Reply, cutsOff = false): boolean {
    const reply = this.filters === null ? unfiltered : filterReply(unfiltered, this, this.#context);
    const { status, statusText, body } = reply;
    const fields = this.#context.fields.prepare(reply.fields);
    if (fields === null) {
      if (isSource(body)) body.cancel();
      return false;
    }
    const announced = fields.contentLength === null ? null : Number(fields.contentLength);
    const lengthBytes = reply.lengthBytes ?? announced;
    if (!hasBody(this.head.method, status)) {
      if (isSource(body)) body.cancel();
      const isBytes = typeof body === "string" || body instanceof Uint8Array;
      const known = isBytes ? sizeOf(body) : lengthBytes;
      // Neither 204 nor 304 needs a length (RFC 9110 section 8.6).
      const length = this.head.method === "HEAD" && status !== 204 && status !== 304 ? known : null;
      const head = { status, statusText, fields, lengthBytes: length, hasBody: false };
      this.#answer(head, { body: null, cutsOff });
    } else if (isSource(body)) {
      const opening = takesComments(reply.fields) ? EVENT_STREAM_OPENING : null;
      this.#begin({ status, statusText, fields, lengthBytes, body, opening });
    } else if (body === null || isSmall(body)) {
      const size = body === null ? 0 : sizeOf(body);
      const head = { status, statusText, fields, lengthBytes: size, hasBody: true };
      this.#answer(head, { body, cutsOff });
    } else {
      // The caller lends the bytes for this call only.
      const bytes = typeof body === "string" ? Buffer.from(body) : new Uint8Array(body);
      const source = new BytesSource(bytes);
      const length = bytes.length;
      this.#begin({ status, statusText, fields, lengthBytes: length, body: source, opening: null });
    }
    return true;
  }

  /** Writes a response that is complete at once. */
  #answer(
    head: ResponseHead,
    { body, cutsOff }: { body: string | Uint8Array | null; cutsOff: boolean },
  ): void {
    // Comes first: a part of the body that has come may be invalid, and is answered 400 then.
    this.#dropBody();
    if (this.#state !== "open") return;
    this.#state = "answering";
    this.#abort = null;
    this.#transport.writeWhole(head, { body, cutsOff });
    const size = head.hasBody && this.#context.countsBytes ? (head.lengthBytes ?? 0) : 0;
    this.#finish(head.status, size);
  }

  #begin(reply: {
    status: number;
    statusText: string;
    fields: PreparedHead;
    lengthBytes: number | null;
    body: BodySource;
    opening: Uint8Array | null;
  }): void {
    this.#state = "answering";
    const settledBody = this.#abort;
    const stream = new ReplyStream(this.#transport, reply, (outcome, sentBytes) => {
      if (outcome === "complete") {
        this.#dropBody();
        this.#finish(reply.status, sentBytes);
      } else if (outcome === "unbegun") this.#answerInstead(reply.body.failedAs ?? 500);
      // An orderly end would make the client take the incomplete body for the whole.
      else this.#breakOff();
    });
    this.#stream = stream;
    this.#abort = () => {
      stream.abort();
      settledBody?.();
    };
    this.#startChecks();
    stream.start();
  }

  /** Answers with an error after the source failed before the first byte was written. */
  #answerInstead(status: number): void {
    this.#state = "open";
    this.#stream = null;
    this.#abort = null;
    this.refuse(status);
  }

  /** Breaks off an answer whose source failed. To the client this looks like a server that left. */
  #breakOff(): void {
    this.#leaveStatus = BROKEN_OFF;
    this.cutOff();
  }

  /** The rest of the body is not needed: a client may read the answer only once it has sent everything. */
  #dropBody(): void {
    if (!this.#bodyOpen) return;
    this.#sink = null;
    this.#progress = null;
    this.#transport.dropBody();
  }

  #startChecks(): void {
    if (this.#isChecked) return;
    this.#isChecked = true;
    this.#context.onTransferStart(this);
  }

  #stopChecks(): void {
    if (!this.#isChecked) return;
    this.#isChecked = false;
    this.#context.onTransferEnd(this);
  }

  #finish(status: number, bodyBytes: number): void {
    this.#state = "finished";
    this.#stopChecks();
    this.#context.onFinished(this, status, bodyBytes);
    if (this.finishing !== null) runFinishing(this);
  }
}

function sizeOf(body: string | Uint8Array): number {
  return typeof body === "string" ? Buffer.byteLength(body) : body.length;
}

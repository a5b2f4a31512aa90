import type {
  BodyFlow,
  BodySink,
  BodySource,
  Client,
  ExchangeId,
  HeldBodySink,
  RequestHead,
  UpstreamNote,
  WorkerId,
} from "../../http/client.ts";
import type { CacheResult } from "../../http/cache-result.ts";
import type { LimitName } from "../../http/limit-names.ts";
import type { TurnClock } from "../../lib/turn-clock.ts";
import { BodyReading, type SavedMasks } from "./body-reading.ts";
import type { CorkAnchor } from "./cork-anchor.ts";
import { BytesSource } from "../../bodies/body-sources.ts";
import { LINGER_MS, LINGER_TOTAL_MS, LingeringBody } from "./lingering-body.ts";
import { runFinishing } from "../../http/when-finished.ts";
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
import type { PreparedFields } from "../../http/response-fields.ts";
import { findBreach, type TransferLimits, valueOf } from "../../http/transfer-limits.ts";
import type { UnreadBytes } from "./unread-bytes.ts";
import type { Handshake } from "../../http/web-socket-handshake.ts";
import type { SilenceLimits } from "../../http/web-socket-liveness.ts";
import { agreeOnDeflate } from "../../http/web-socket-deflate.ts";
import { findField } from "../../http/find-field.ts";
import {
  LARGEST_MESSAGE_BYTES,
  type WebSocketAnswer,
  type WebSocketEvents,
  type WebSocketOffer,
  type WebSocketSide,
} from "../../http/web-socket.ts";
import type { Upgrade } from "./upgrades.ts";
import type { HttpResponse, UpgradeContext } from "./uws.ts";
import {
  acceptWebSocket,
  bodyBytesOf,
  type Ending,
  type ResponseToWrite,
  writeResponse,
} from "./write-response.ts";
import { StreamWriter } from "./write-stream.ts";
import { createSide, prepareAcceptance, type WebSocketContext } from "../accept-web-socket.ts";

/** Statuses for the log only. Nginx introduced 499. */
const CLIENT_LEFT = 499;
const BROKEN_OFF = 502;

/** The parts of a listener that its exchanges share. */
export interface ListenerContext extends WebSocketContext<UwsClient, PreparedFields> {
  readonly clock: TurnClock;
  nextId(): ExchangeId;
  /**
   * Returns whether these bytes may be written at once in this turn of the event loop. If not, they must be written as
   * the client takes them.
   */
  admitWrite(bytes: number): boolean;
  /** True once every response must announce the end of its connection. */
  readonly closing: boolean;
  readonly limits: TransferLimits;
  readonly port: number;
  readonly unread: UnreadBytes;
  /** Runs upgrades. */
  readonly anchor: Pick<CorkAnchor, "prepare" | "run">;
  readonly savedMasks: SavedMasks;
  /** The connections of the listener use TLS. */
  readonly secure: boolean;
  /** True when the access log or another reader needs the size of small bodies. */
  readonly countsBytes: boolean;
  /** Bytes of a request body were read. */
  onBodyBytes(bytes: number): void;
  /** A request or response body is in transfer: the listener must call `check` every second. */
  onTransferStart(client: UwsClient): void;
  onTransferEnd(client: UwsClient): void;
  /**
   * Called once per exchange: its response is complete, its client left (status 499), or the server broke it off (502).
   */
  onFinished(client: UwsClient, status: number, bodyBytes: number): void;
}

/**
 * The client's side of an exchange on uWebSockets.js.
 *
 *     open ──respond──▶ answering ──last byte taken──▶ finished
 *       ├──────────────────┴────── client left ──────────▲
 *       └──accept──▶ a WebSocket (`ClientWebSocket`) ──end──┘
 *
 * Invariant: no method of `res` is called after the library has the last byte of the response or has called
 * `onAborted`. Otherwise the library throws, which ends the process (docs/uwebsockets.md section 4). To the library a
 * finished response may still be open: `#leave` and `#onRest` then read the rest of the request and close the
 * connection.
 */
export class UwsClient implements Client {
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
  /** The listener counted the request for its address (`RequestsPerAddress`). */
  countsForAddress = false;
  readonly #res: HttpResponse;
  readonly #context: ListenerContext;
  #limits: TransferLimits;
  #state: "open" | "answering" | "finished" = "open";
  #abort: (() => void) | null = null;
  /** Bytes of a body may still arrive. */
  #bodyOpen: boolean;
  /** The library's timer runs although the body is complete. It must be restarted until there is an answer. */
  #timed = false;
  /** Reads the body; `null`: nothing receives the body, and its bytes are dropped. */
  #reading: BodyReading | null = null;
  /** Receives the body for a responder that is not known yet. */
  #held: HeldBodySink | null = null;
  #writer: StreamWriter | null = null;
  /** The connection ends with the response. */
  readonly #isLast: boolean;
  /** The library closes the connection itself, because the client asked for it. */
  readonly #libraryCloses: boolean;
  /** `onData` is registered. */
  #receives = false;
  /** The body of a response that ends only when the request has ended. */
  #lingering: LingeringBody | null = null;
  #lingerTimer: NodeJS.Timeout | undefined;
  /** Deadline for a client that still sends after the response. */
  #lingerEndMs = 0;
  /** The response is complete, and the connection will be closed once the request is complete. */
  #leaving = false;
  /**
   * Time, by the listener's clock, of the turn of the event loop in which the library last passed on a part of the
   * request.
   */
  #parsedMs: number;
  /** Status for the log if the connection ends before the response is complete. */
  #leaveStatus: typeof CLIENT_LEFT | typeof BROKEN_OFF = CLIENT_LEFT;

  /**
   * Attaches `onAborted`. Must therefore run before the callback that brought `res` returns or throws.
   *
   * @param options.isLast The connection ends with the response: no further request may be run.
   * @param options.libraryCloses The library closes the connection with the last byte of the response.
   */
  constructor(
    res: HttpResponse,
    head: RequestHead,
    {
      context,
      isLast,
      libraryCloses,
    }: { context: ListenerContext; isLast: boolean; libraryCloses: boolean },
  ) {
    this.#res = res;
    this.#isLast = isLast;
    this.#libraryCloses = libraryCloses;
    this.id = context.nextId();
    this.receivedMs = context.clock.now();
    this.#parsedMs = this.receivedMs;
    this.head = head;
    this.#context = context;
    this.#limits = context.limits;
    this.#bodyOpen = head.bodyBytes !== 0;
    res.onAborted(() => this.#onAborted());
  }

  get settled(): boolean {
    return this.#state !== "open";
  }

  get begun(): boolean {
    return this.#writer === null ? this.settled : this.#writer.begun;
  }

  holdBody(held: HeldBodySink): void {
    held.start(this.receiveBody(held));
    this.#held = held;
  }

  receiveBody(sink: BodySink): BodyFlow {
    if (this.#held !== null) return this.#held.release(sink);
    const reading = new BodyReading(this.#res, {
      savedMasks: this.#context.savedMasks,
      secure: this.#context.secure,
      sinceMs: this.receivedMs,
      unreadBytes: (maxAgeMs) =>
        this.#context.unread.find(this.#context.port, this.#res.getRemoteAddress(), maxAgeMs),
      writer: () => this.#writer,
    });
    this.#reading = reading;
    this.#context.onTransferStart(this);
    this.#receives = true;
    this.#res.onData((chunk, last) => {
      this.#parsedMs = this.#context.clock.now();
      this.#context.onBodyBytes(chunk.byteLength);
      if (last) {
        this.#bodyOpen = false;
        this.#timed = reading.discardRest();
      }
      if (this.#leaving) this.#onRest(last);
      if (this.#state === "finished") return;
      reading.onChunk(chunk.byteLength);
      if (last && this.#writer === null && !this.#timed) this.#context.onTransferEnd(this);
      // The chunk is a view of a buffer that the library reuses.
      if (chunk.byteLength > 0) sink.chunk(new Uint8Array(chunk));
      if (last) sink.end();
      if (last) this.#letEnd();
    });
    return reading;
  }

  /** Lets the responder accept a WebSocket. */
  offerWebSocket({ key, isCurrent }: Handshake, upgrade: Upgrade): void {
    this.#context.anchor.prepare();
    this.webSocket = {
      isCurrent,
      accept: (answer, events) => this.#accept(answer, events, { key, upgrade }),
    };
  }

  #accept(
    answer: WebSocketAnswer,
    events: WebSocketEvents,
    { key, upgrade }: { key: string; upgrade: Upgrade },
  ): WebSocketSide | null {
    if (this.#state !== "open") return null;
    const context = this.#context;
    const prepared = prepareAcceptance(answer, this, context);
    if (prepared === null) {
      this.refuse(502);
      return null;
    }
    this.#state = "answering";
    this.#abort = null;
    const { protocol, silence } = answer;
    const deflate = answer.compresses === true ? this.#agreeOnDeflate(silence, upgrade) : null;
    const side = createSide<UwsClient>(this, {
      context,
      events,
      limits: () => this.#limits,
      silence,
      compresses: deflate !== null,
      onEnd: (sentBytes) => this.#finish(101, sentBytes),
    });
    acceptWebSocket(this.#res, {
      fields: prepared.last,
      protocol,
      key,
      data: { side },
      extensions: deflate?.offer ?? "",
      upgrade: deflate?.upgrade ?? upgrade.plain,
      anchor: context.anchor,
    });
    return side;
  }

  /** Returns the offer that the library shall answer, and its part of the upgrade; `null`: messages are not compressed. */
  #agreeOnDeflate(
    silence: SilenceLimits | undefined,
    upgrade: Upgrade,
  ): { offer: string; upgrade: UpgradeContext } | null {
    const offers = findField(this.head.fields, "sec-websocket-extensions");
    const agreed = agreeOnDeflate(offers, { limitsWindow: false });
    const inflating = upgrade.inflating(silence?.largestBytes ?? LARGEST_MESSAGE_BYTES);
    // The answer has the form of an offer, and none that the library would answer wrongly.
    return agreed === null || inflating === null
      ? null
      : { offer: agreed.answer, upgrade: inflating };
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
    const cutsOff = options.close === true && !this.#libraryCloses;
    const refusal = toRefusal(status, options.retryAfterSeconds);
    if (this.#send(refusal, cutsOff)) return;
    this.filters = null;
    this.#send(refusal, cutsOff);
  }

  /**
   * Filters the reply and writes it, as fast as the client takes it.
   *
   * @param cutsOff Closes the connection at once, although the client may still send.
   * @returns False: the reply has a field that cannot be written, and nothing was written.
   */
  #send(unfiltered: Reply, cutsOff = false): boolean {
    const reply = this.filters === null ? unfiltered : filterReply(unfiltered, this, this.#context);
    const { status, statusText, body, lengthBytes } = reply;
    const fields = this.#context.fields.prepare(reply.fields);
    if (fields === null) {
      if (isSource(body)) body.cancel();
      return false;
    }
    const { method } = this.head;
    if (!isSource(body)) {
      const ending = cutsOff ? "close" : this.#ending();
      this.#write({ method, status, statusText, fields, body, lengthBytes, ending }, cutsOff);
    } else if (hasBody(method, status)) {
      const announced = fields.contentLength === null ? null : Number(fields.contentLength);
      const opening = takesComments(reply.fields) ? EVENT_STREAM_OPENING : null;
      const length = lengthBytes ?? announced;
      this.#stream({ status, statusText, fields, lengthBytes: length, body, opening });
    } else {
      body.cancel();
      const ending = this.#ending();
      this.#write({ method, status, statusText, fields, body: null, lengthBytes, ending });
    }
    return true;
  }

  /** Cuts off the client if it breaks a limit. The listener calls this once a second while a body is in transfer. */
  check(nowMs: number, options: { keepAlive: boolean }): void {
    if (this.#state === "finished") return;
    const reading = this.#bodyOpen ? this.#reading : null;
    const writer = this.#writer;
    // The library does not notice when the client resets a paused connection. Such a socket has no peer, and so no
    // address.
    if (reading?.paused === true && this.#res.getRemoteAddress().byteLength === 0) {
      this.#res.close();
      return;
    }
    const breach = findBreach(
      {
        receiving: reading?.progress({ answering: writer !== null }) ?? null,
        sending: writer?.blocked === true ? { progressMs: writer.progressMs } : null,
      },
      this.#limits,
      nowMs,
    );
    if (breach !== null) {
      this.#context.onCut(this, breach, valueOf(breach, this.#limits));
      if (this.#state === "open") this.#cutOpen();
      else this.#res.close();
      return;
    }
    reading?.unstick(nowMs);
    // Restarts the library's timer. While the body is paused there is no such timer, and `resume` would let bytes in.
    if (options.keepAlive && reading?.paused !== true) {
      this.#res.pause();
      this.#res.resume();
    }
  }

  cutOff(): void {
    if (this.#state !== "finished") this.#res.close();
  }

  /** Answers 408, cuts off the client, and tells the owner of its request that no answer is needed. */
  #cutOpen(): void {
    const abort = this.#abort;
    this.#abort = null;
    this.refuse(408, { close: true });
    abort?.();
  }

  /**
   * Returns the treatment of the connection after the response.
   *
   * @param hasLength False: the response comes in chunks. Closing would then delay its end until the request has ended.
   */
  #ending(hasLength = true): Ending {
    if (this.#libraryCloses) return "announce";
    if (this.#isLast) return "close";
    if (this.#bodyOpen) return hasLength ? "close" : "announce";
    return this.#context.closing ? "close" : "keep";
  }

  /**
   * Writes a reply whose body is in memory: at once, or as a stream if it is too large for that.
   *
   * @param cutsOff Closes the connection at once, although the client may still send.
   */
  #write(response: ResponseToWrite, cutsOff = false): void {
    const { method, status, body, ending } = response;
    const isWithBody = hasBody(method, status);
    const lingers = this.#bodyOpen && !cutsOff;
    const isWhole =
      body === null || (isSmall(body) && !lingers && this.#context.admitWrite(body.length));
    if (isWithBody && !isWhole) {
      const bytes = typeof body === "string" ? Buffer.from(body) : new Uint8Array(body);
      const source = new BytesSource(bytes);
      this.#stream({ ...response, lengthBytes: bytes.length, body: source, opening: null });
      return;
    }
    this.#state = "answering";
    this.#abort = null;
    // The caller lends the bytes for this call only.
    const isLent = typeof body === "object" && this.#mustNotWriteNow;
    const kept = isLent && body !== null ? { ...response, body: new Uint8Array(body) } : response;
    // A last response without a body stays open to the library, and the connection is closed at once. While the library
    // parses, that would drop the response, because the library sends it only after its callback returns.
    const isBare = !isWithBody || body === null || body.length === 0;
    const mustWait = this.#mustNotWriteNow || (isBare && ending === "close" && this.#mayBeParsing);
    this.#nowOrLater(!mustWait, () => {
      // Reads the rest of the request: a client that reads nothing before it has sent all would otherwise never see the
      // answer.
      this.#reading?.discardRest();
      const isLeftOpen = writeResponse(this.#res, kept);
      this.#finish(status, this.#context.countsBytes ? bodyBytesOf({ method, status, body }) : 0);
      if (isLeftOpen) this.#leave(cutsOff);
    });
  }

  /**
   * Tells whether the response must wait for a later turn of the event loop. There are two reasons. Over TLS, a write
   * makes the library drop bytes that it has read but not yet parsed (decision 027). On the last request of a
   * connection, a complete response lets the library run the bytes behind this request until its callback returns
   * (decision 037).
   */
  get #mustNotWriteNow(): boolean {
    if (this.#context.secure && this.#bodyOpen) return true;
    return this.#isLast && this.#mayBeParsing;
  }

  /**
   * Tells whether the library passed on a part of the request in this turn of the event loop. If so, its callback may
   * not have returned yet.
   */
  get #mayBeParsing(): boolean {
    return this.#parsedMs === this.#context.clock.now();
  }

  /**
   * Closes the connection after a complete response. Waits until the client has sent its body, pauses for `LINGER_MS`,
   * or has had `LINGER_TOTAL_MS`. Some clients read the response only after they have sent everything.
   *
   * After a stream, the library may still hold the last bytes, and closing would drop them. The library does not tell
   * when they have left, so this waits for the client to close, or for the same timeouts.
   *
   * @param cutsOff Closes the connection at once, although the client may still send.
   */
  #leave(cutsOff = false): void {
    if (cutsOff || (!this.#bodyOpen && this.#writer === null)) {
      this.#res.close();
      return;
    }
    this.#leaving = true;
    this.#lingerEndMs = this.#context.clock.now() + LINGER_TOTAL_MS;
    this.#waitForRest();
    if (this.#receives || !this.#bodyOpen) return;
    this.#receives = true;
    this.#res.onData((chunk, last) => {
      this.#context.onBodyBytes(chunk.byteLength);
      this.#onRest(last);
    });
  }

  #waitForRest(): void {
    clearTimeout(this.#lingerTimer);
    const waitMs = Math.min(LINGER_MS, this.#lingerEndMs - this.#context.clock.now());
    this.#lingerTimer = setTimeout(() => this.#res.close(), waitMs);
  }

  #onRest(last: boolean): void {
    if (!this.#leaving) return;
    if (!last) {
      this.#waitForRest();
      return;
    }
    this.#bodyOpen = false;
    if (this.#writer !== null) return;
    clearTimeout(this.#lingerTimer);
    // Deferred, because the library may still parse the bytes that it has read.
    setImmediate(() => {
      if (this.#leaving) this.#res.close();
    });
  }

  /** Calls `write` now, or in a later turn of the event loop unless the exchange has finished by then. */
  #nowOrLater(isNow: boolean, write: () => void): void {
    if (isNow) {
      write();
      return;
    }
    setImmediate(() => {
      if (this.#state !== "finished") write();
    });
  }

  #stream(response: {
    status: number;
    statusText: string;
    fields: PreparedFields;
    lengthBytes: number | null;
    body: BodySource;
    opening: Buffer | null;
  }): void {
    this.#state = "answering";
    const settledBody = this.#abort;
    // A body of 0 or 1 bytes is complete at once, and the library then closes the connection.
    const hasLength = response.lengthBytes !== null && response.lengthBytes > 1;
    const ending = this.#ending(hasLength);
    // A body of known length is sent whole, and only the end of the connection waits. Otherwise the body's end has to
    // wait.
    const lingers = this.#isLast && this.#bodyOpen && !(hasLength && ending === "close");
    const lingering = lingers ? this.#linger(response.body) : null;
    const writer = new StreamWriter(
      this.#res,
      {
        ...response,
        // With a known length, the last byte would end the response.
        ...(lingering === null ? {} : { body: lingering, lengthBytes: null }),
        ending,
        onBlocked: () => this.#reading?.onBlocked(),
        onEnding: () => this.#reading?.discardRest(),
        onLateRoom: () => {
          if (this.#leaving) this.#waitForRest();
        },
        requestOpen: () => this.#bodyOpen,
        secure: this.#context.secure,
      },
      (outcome, sentBytes) => {
        if (outcome === "complete") {
          this.#finish(response.status, sentBytes);
          if (writer.leftOpen) this.#leave();
        } else if (outcome === "unbegun") this.#answerInstead(response.body.failedAs ?? 500);
        // An orderly end would make the client take the incomplete body for the whole.
        else this.#breakOff();
      },
    );
    this.#writer = writer;
    this.#abort = () => {
      writer.abort();
      settledBody?.();
    };
    // A second call if `receiveBody` has already made the first.
    this.#context.onTransferStart(this);
    this.#nowOrLater(!this.#mustNotWriteNow, () => writer.start());
  }

  #linger(body: BodySource): LingeringBody {
    const lingering = new LingeringBody(body, () => this.#reading?.discardRest());
    this.#lingering = lingering;
    // An earlier answer that failed before its first byte may have left its timer running.
    clearTimeout(this.#lingerTimer);
    this.#lingerTimer = setTimeout(() => lingering.letEnd(), LINGER_MS);
    if (this.#receives) return lingering;
    this.#receives = true;
    this.#res.onData((chunk, last) => {
      this.#context.onBodyBytes(chunk.byteLength);
      if (!last) return;
      this.#bodyOpen = false;
      this.#letEnd();
    });
    return lingering;
  }

  /**
   * Lets the response end. Deferred, because the library may still parse bytes that it has read: it would run the
   * request behind this one.
   */
  #letEnd(): void {
    const lingering = this.#lingering;
    if (lingering !== null) setImmediate(() => lingering.letEnd());
  }

  /** Answers with an error after the source failed before the first byte was written. */
  #answerInstead(status: number): void {
    this.#state = "open";
    this.#abort = null;
    this.refuse(status);
  }

  /** Breaks off an answer whose source failed. To the client this looks like a server that left. */
  #breakOff(): void {
    this.#leaveStatus = BROKEN_OFF;
    this.#res.close();
  }

  #onAborted(): void {
    this.#leaving = false;
    clearTimeout(this.#lingerTimer);
    if (this.#state === "finished") return;
    const sentBytes = this.#writer?.sentBytes ?? 0;
    const abort = this.#abort;
    this.#abort = null;
    this.#finish(this.#leaveStatus, sentBytes);
    abort?.();
  }

  #finish(status: number, bodyBytes: number): void {
    const transferring = this.#writer !== null || this.#bodyOpen || this.#timed;
    this.#state = "finished";
    this.#reading?.stop();
    clearTimeout(this.#lingerTimer);
    if (transferring) this.#context.onTransferEnd(this);
    this.#context.onFinished(this, status, bodyBytes);
    if (this.finishing !== null) runFinishing(this);
  }
}

import type { Duplex } from "node:stream";
import type { QueueRefusal, Wish } from "../balance/group.ts";
import type { RequestIntake } from "../bodies/request-intake.ts";
import { ResponseFeed } from "../bodies/response-feed.ts";
import type { Client, UpstreamNote } from "../http/client.ts";
import type { LimitName } from "../http/limit-names.ts";
import { toRefusal } from "../http/reply.ts";
import { createKey, WEB_SOCKET_VERSION } from "../http/web-socket-handshake.ts";
import type { WebSocketOffer } from "../http/web-socket.ts";
import { assertNever, statusOf } from "../lib/errors.ts";
import { toRequestId } from "../lib/request-id.ts";
import type {
  ExchangeEvents,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamHead,
  UpstreamServer,
} from "../upstream/exchange.ts";
import { toAuthority } from "./authority.ts";
import type { ProxyOptions } from "./proxy-responder.ts";
import type { ProxyRules } from "./proxy-rules.ts";
import { decideRetry, isIdempotentMethod, statusOfFailure } from "./retry-policy.ts";
import { Tunnel } from "./tunnel.ts";
import { checkUpgrade, toUpgradeRequest } from "./upgrade.ts";
import { Upload } from "./upload.ts";
import type { WebSocketFrames } from "../http/web-socket-frames.ts";
import { toWish } from "./wish.ts";

/** Largest body that is gathered before the client gets it: the engine writes it with its head in one call. */
const WHOLE_BYTES = 16_000;

/** A feed holds at least so many bytes before it pauses the upstream: one read of a socket. */
const LEAST_BUFFER_BYTES = 64 * 1024;

/** A request waits at most so often for a server that can be reached again. */
const MOST_WAITS = 8;

/** `Retry-After` of a request that was refused because no server can take it. */
const RETRY_AFTER_SECONDS = 1;

/** The counter of each reason for which a request body is refused. */
const BODY_REFUSALS = {
  ERR_BODY_TOO_LARGE: "bodyLimit",
  ERR_OVERLOADED: "bodyRoom",
  ERR_SPOOL: "bodyDisk",
} as const;

/** The setting that ended an exchange, by the phase in which it did. */
const TIMEOUTS = {
  connect: "connectTimeout",
  tls: "connectTimeout",
  send: "idleTimeout",
  "first-byte": "firstByteTimeout",
  head: "firstByteTimeout",
  body: "idleTimeout",
} as const satisfies Record<UpstreamFailure["phase"], LimitName>;

const NONE: readonly UpstreamServer[] = [];

/** Fields of the answer to a request for another version of the protocol (RFC 6455 section 4.4). */
const VERSION_FIELDS = `content-type\ntext/plain;charset=UTF-8\nsec-websocket-version\n${WEB_SOCKET_VERSION}`;

/** A request for a WebSocket. */
interface WebSocketWish {
  readonly offer: WebSocketOffer;
  /** The key for the upstream. */
  readonly key: string;
  /** `null`: until they are loaded. */
  frames: WebSocketFrames | null;
}

/** Status of a request that has passed this server many times (RFC 5842 section 7.2). */
const LOOP_DETECTED = 508;

/**
 * One request on its way through an upstream server.
 *
 *     receiving ──body is here──▶ waiting ──server──▶ sent ──head──▶ gathering ──whole body──▶ settled
 *         │                        ▲  │                │                  └─large body─▶ answering ──last byte──▶ settled
 *         │                        └──│──retry─────────┤                                      │
 *         └── refused, client left ───┴────────────────┼── failed, client left ───────────────┴──▶ settled
 *                                                      └──101──▶ relaying ──both sides closed──▶ settled
 *
 * The events of an attempt that ended are never delivered, so one object takes those of all attempts.
 */
export class ProxyExchange implements ExchangeEvents {
  readonly #client: Client;
  readonly #options: ProxyOptions;
  readonly #rules: ProxyRules;
  readonly #target: string;
  #state: "receiving" | "waiting" | "sent" | "gathering" | "answering" | "relaying" | "settled" =
    "receiving";
  /** `null`: the client asks for no WebSocket. */
  #webSocket: WebSocketWish | null = null;
  /** Receives the body; `null`: there is none. */
  #intake: RequestIntake | null = null;
  /** The whole body; `null`: there is none, or it follows. */
  #body: Uint8Array | null = null;
  /** Sends a body that follows. */
  #upload: Upload | null = null;
  /** Ends the wait for a server; `null`: there is none. */
  #stopWaiting: (() => void) | null = null;
  #server: UpstreamServer | null = null;
  #exchange: UpstreamExchange | null = null;
  /** The servers at which the request has failed. */
  #tried = NONE;
  /** Number of attempts at other servers, and of waits for one that can be reached. */
  #retries = 0;
  #waits = 0;
  #hasTriedFresh = false;
  /** The next attempt needs a new connection. */
  #isFresh = false;
  /** Facts for the access log; `null`: before the first attempt. */
  #note: UpstreamNote | null = null;
  #firstSentMs = 0;
  #sentMs = 0;
  /** The head of the response, until the client gets it. */
  #head: UpstreamHead | null = null;
  /** The fields of that head, for the client. */
  #fields = "";
  #pieces: Uint8Array[] = [];
  #gatheredBytes = 0;
  #feed: ResponseFeed | null = null;
  /** Bytes of the feed that the client has not taken. */
  #heldBytes = 0;
  #isPaused = false;

  constructor(
    client: Client,
    { target, rules, options }: { target: string; rules: ProxyRules; options: ProxyOptions },
  ) {
    this.#client = client;
    this.#target = target;
    this.#rules = rules;
    this.#options = options;
  }

  /** Takes responsibility for the request. Must be called in the turn of the event loop in which its head arrived. */
  begin(): void {
    const { counters, open, intakes } = this.#options.parts;
    const client = this.#client;
    counters.admitted++;
    open.begin();
    client.onAbort(() => this.#leave());
    const offer = client.webSocket ?? null;
    if (offer !== null) {
      this.#beginUpgrade(offer);
      return;
    }
    if (client.head.bodyBytes === 0) {
      this.#place();
      return;
    }
    const intake = intakes.open(this.#rules);
    this.#intake = intake;
    intake.start(client, {
      onWhole: (body) => {
        this.#body = body;
        this.#place();
      },
      onOverflow: () => {
        this.#upload = new Upload(intake);
        this.#place();
      },
      onRefused: (code, cause) => {
        if (code === "ERR_SPOOL") {
          this.#options.parts.log.error({ err: cause, code }, "cannot spool a request body");
        }
        counters.limit(BODY_REFUSALS[code], client);
        this.#fail(statusOf(code));
      },
    });
  }

  /** Does nothing: the front has answered `expect` itself, and its engine sends no interim responses. */
  onInformational(): void {}

  onHead(head: UpstreamHead): void {
    if (this.#state !== "sent") return;
    const { replyFields } = this.#options;
    const server = this.#noteHead(head);
    const reply = replyFields.of(head.fields, server.name);
    if (!reply.ok) {
      this.#logFailure(server, { phase: "head", reason: reply.reason }, 502);
      this.#fail(502);
      return;
    }
    this.#upload?.commit();
    this.#head = head;
    this.#fields = this.#withStickyCookie(reply.fields, server);
    this.#state = "gathering";
    if (head.bodyBytes === 0) this.#replyWhole(null);
    else if (head.bodyBytes === null) queueMicrotask(this.#onTurnEnd);
    else if (head.bodyBytes > WHOLE_BYTES) this.#beginStream();
  }

  onChunk(bytes: Uint8Array): void {
    if (this.#state === "answering") {
      this.#push(bytes);
      return;
    }
    if (this.#state !== "gathering") return;
    const whole = this.#head?.bodyBytes ?? null;
    if (this.#gatheredBytes === 0 && bytes.length === whole) {
      this.#replyWhole(bytes);
      return;
    }
    this.#pieces.push(new Uint8Array(bytes));
    this.#gatheredBytes += bytes.length;
    if (this.#gatheredBytes === whole) this.#replyWhole(this.#takePieces());
    else if (this.#gatheredBytes > WHOLE_BYTES) this.#beginStream();
  }

  onEnd(): void {
    if (this.#state === "gathering") {
      this.#replyWhole(this.#takePieces());
    } else if (this.#state === "answering") {
      const feed = this.#feed;
      this.#settle();
      feed?.end();
    }
  }

  onUpgraded(head: UpstreamHead, socket: Duplex, first: Uint8Array): void {
    const wish = this.#webSocket;
    if (this.#state !== "sent" || wish === null || wish.frames === null) {
      socket.destroy();
      return;
    }
    // The connection is the tunnel's now.
    this.#exchange = null;
    const server = this.#noteHead(head);
    const { frames, offer, key } = wish;
    const { waiting } = this.#options.parts;
    const tunnel = new Tunnel(socket, { frames, waiting, onOver: () => this.#settle() });
    const answer = checkUpgrade(head.fields, { key, fields: this.#client.head.fields });
    const reply = answer.ok ? this.#options.replyFields.of(answer.fields, server.name) : answer;
    if (!answer.ok || !reply.ok) {
      const reason = reply.ok ? "" : reply.reason;
      tunnel.abandon();
      this.#logFailure(server, { phase: "head", reason }, 502);
      this.#fail(502);
      return;
    }
    this.#state = "relaying";
    const fields = this.#withStickyCookie(reply.fields, server);
    const side = offer.accept({ protocol: answer.protocol, fields }, tunnel);
    if (side === null) tunnel.abandon();
    else tunnel.begin(side, first);
  }

  onDrain(): void {
    this.#upload?.onDrain();
  }

  onFailed(failure: UpstreamFailure): void {
    const server = this.#server;
    if (this.#state === "settled" || server === null) return;
    this.#exchange = null;
    this.#upload?.detach();
    const { group, parts } = this.#options;
    group.failed(server, failure);
    const note = this.#note;
    if (note !== null) note.durationMs ??= parts.clock.now() - this.#firstSentMs;
    const next = this.#state === "sent" ? this.#tryAgain(server, failure) : "give-up";
    if (next === "goes-on") {
      this.#logFailure(server, failure, null);
      return;
    }
    if (next !== "give-up") {
      this.#logFailure(server, failure, 503);
      this.#refuse(next);
      return;
    }
    const status = statusOfFailure(failure);
    this.#logFailure(server, failure, status);
    if (failure.timedOut) parts.counters.limit(TIMEOUTS[failure.phase], this.#client);
    this.#fail(status);
  }

  /** Sends a request for a WebSocket once messages can be framed: bytes may come with the answer. */
  #beginUpgrade(offer: WebSocketOffer): void {
    if (!offer.isCurrent) {
      this.#settle();
      this.#client.reply({ ...toRefusal(426), fields: VERSION_FIELDS });
      return;
    }
    const wish: WebSocketWish = { offer, key: createKey(), frames: null };
    this.#webSocket = wish;
    void this.#sendUpgrade(wish);
  }

  async #sendUpgrade(wish: WebSocketWish): Promise<void> {
    const { frames, log } = this.#options.parts;
    try {
      wish.frames = await frames.load();
    } catch (error) {
      log.error({ err: error }, "cannot load the package ws for WebSockets");
      this.#fail(502);
      return;
    }
    if (this.#state === "receiving") this.#place();
  }

  /** Called in the turn of the event loop in which the head of a response without a length came, after its chunks. */
  readonly #onTurnEnd = (): void => {
    if (this.#state === "gathering") this.#beginStream();
  };

  /** Sends the request to a server of the group, or lets it wait for one. */
  #place(): void {
    const { group, budget } = this.#options;
    budget.note();
    const server = group.pick(this.#wish());
    if (server !== null) {
      this.#send(server);
      return;
    }
    const refusal = this.#wait();
    if (refusal !== null) this.#refuse(refusal);
  }

  /** Waits for a server that can take the request. Returns why it may not wait; `null`: it waits. */
  #wait(): QueueRefusal | null {
    const { group } = this.#options;
    const waiting = group.wait(this.#wish(), (end) => {
      this.#stopWaiting = null;
      if (typeof end === "string") this.#refuse(end);
      else this.#send(end);
    });
    if (typeof waiting === "string") return waiting;
    this.#state = "waiting";
    this.#stopWaiting = waiting;
    return null;
  }

  #wish(): Wish {
    const { head } = this.#client;
    const mayRepeat = isIdempotentMethod(head.method) && (this.#upload?.isKept ?? true);
    return toWish(head, this.#options.group.setting, { tried: this.#tried, mayRepeat });
  }

  /** Answers 503: no server can take the request in time. */
  #refuse(reason: QueueRefusal): void {
    if (reason !== "down") this.#options.parts.counters.limit(reason, this.#client);
    this.#fail(503);
  }

  #send(server: UpstreamServer): void {
    const { requestFields, host, timeouts, parts } = this.#options;
    const client = this.#client;
    const { head } = client;
    const requestId = this.#requestId();
    const made = requestFields.of(head, { requestId, host: toHost(host, server) });
    const wish = this.#webSocket;
    const fields = wish === null ? made.fields : toUpgradeRequest(made.fields, wish.key);
    if (made.isLooping) {
      this.#fail(LOOP_DETECTED);
      return;
    }
    const note = this.#noteAttempt(server);
    this.#sentMs = parts.clock.now();
    if (note.attempts === 1) this.#firstSentMs = this.#sentMs;
    this.#state = "sent";
    this.#server = server;
    const upload = this.#upload;
    const exchange = server.open(
      {
        method: head.method,
        target: this.#target,
        fields,
        body: upload === null ? this.#body : "follows",
        bodyBytes: upload === null ? null : (upload.wholeBytes ?? head.bodyBytes),
        upgrade: wish === null ? null : "websocket",
        timeouts,
        isFresh: this.#isFresh,
      },
      this,
    );
    this.#exchange = exchange;
    this.#isFresh = false;
    upload?.attach(exchange);
  }

  /**
   * Sends the request again after a failure, or lets it wait for a server.
   *
   * @returns `give-up`: it must not run again. A reason of the queue: no server has got it, and it may not wait for one.
   */
  #tryAgain(
    server: UpstreamServer,
    failure: UpstreamFailure,
  ): "goes-on" | "give-up" | QueueRefusal {
    const { group, retries, budget, parts } = this.#options;
    const decision = decideRetry({
      failure,
      isIdempotent: isIdempotentMethod(this.#client.head.method),
      isBodyKept: this.#upload?.isKept ?? true,
      left: retries - this.#retries,
      hasTriedFresh: this.#hasTriedFresh,
      waitsLeft: MOST_WAITS - this.#waits,
      isLate: parts.clock.now() - this.#firstSentMs > group.setting.queueTimeoutMs,
    });
    switch (decision) {
      case "fresh":
        this.#hasTriedFresh = true;
        this.#isFresh = true;
        this.#send(server);
        return "goes-on";
      case "other": {
        this.#retries++;
        this.#tried = [...this.#tried, server];
        const next = group.pick(this.#wish());
        if (next !== null) {
          if (!budget.take()) return "give-up";
          this.#send(next);
          return "goes-on";
        }
        if (!failure.sent) return this.#waitAgain();
        // Others are full: the request waits for one of them, and never goes back to a server that failed.
        if (!budget.hasRoom || !group.hasOther(this.#tried)) return "give-up";
        if (this.#wait() !== null) return "give-up";
        budget.take();
        return "goes-on";
      }
      case "wait":
        return this.#waitAgain();
      case "give-up":
        return "give-up";
      default:
        return assertNever(decision);
    }
  }

  /** Waits for the first server that can be reached again, after no byte of the request has left. */
  #waitAgain(): "goes-on" | QueueRefusal {
    this.#waits++;
    this.#tried = NONE;
    return this.#wait() ?? "goes-on";
  }

  #noteAttempt({ name }: UpstreamServer): UpstreamNote {
    this.#note ??= { name, attempts: 0, status: null, durationMs: null };
    const note = this.#note;
    // The access line describes the request itself, and not the error page that was fetched for it afterwards.
    this.#client.upstream ??= note;
    note.name = name;
    note.attempts++;
    return note;
  }

  /** Notes that a response has begun. Returns the server that sent it. */
  #noteHead({ status }: UpstreamHead): UpstreamServer {
    const { group, parts } = this.#options;
    const server = this.#server;
    if (server === null) throw new TypeError("a response without a server");
    const nowMs = parts.clock.now();
    group.succeeded(server, nowMs - this.#sentMs);
    parts.counters.upstreams.of(group.setting.name).note(nowMs - this.#sentMs);
    const note = this.#note;
    if (note !== null) {
      note.status = status;
      note.durationMs = nowMs - this.#firstSentMs;
    }
    return server;
  }

  /** Adds the cookie that keeps the client at its server, where the group has one. */
  #withStickyCookie(fields: string, server: UpstreamServer): string {
    const { group } = this.#options;
    if (group.setting.sticky === null) return fields;
    const { cookie } = this.#wish();
    const isSecure = this.#client.head.origin.startsWith("https:");
    const own = group.stickyCookieOf(server, { cookie, isSecure });
    if (own === null) return fields;
    return `${fields}${fields === "" ? "" : "\n"}set-cookie\n${own}`;
  }

  #replyWhole(body: Uint8Array | null): void {
    const head = this.#head;
    if (head === null) return;
    const { status, statusText } = head;
    this.#settle();
    this.#client.reply({ status, statusText, fields: this.#fields, body, lengthBytes: null });
  }

  #beginStream(): void {
    const head = this.#head;
    if (head === null) return;
    const { status, statusText, bodyBytes: lengthBytes } = head;
    const { blocks, spool, log } = this.#options.parts;
    const { bufferBytes, buffering } = this.#rules;
    const feed = new ResponseFeed({
      creditBytes: 2 * Math.max(bufferBytes, LEAST_BUFFER_BYTES),
      blocks,
      spool: buffering.responseOverflow === "spool" ? spool : null,
      grant: (bytes) => this.#onTaken(bytes),
      onCancel: () => this.#leave(),
      onDiskError: (err) => log.error({ err, code: "ERR_SPOOL" }, "cannot spool a response body"),
    });
    this.#feed = feed;
    this.#state = "answering";
    for (const piece of this.#pieces) this.#push(piece);
    this.#pieces = [];
    this.#client.reply({ status, statusText, fields: this.#fields, body: feed, lengthBytes });
  }

  /** Passes bytes on, and pauses the upstream when too many wait for the client. */
  #push(bytes: Uint8Array): void {
    this.#heldBytes += bytes.length;
    this.#feed?.push(bytes);
    this.#regulate();
  }

  #onTaken(bytes: number): void {
    this.#heldBytes -= bytes;
    this.#regulate();
  }

  #regulate(): void {
    if (this.#state !== "answering") return;
    const isOver = this.#heldBytes >= Math.max(this.#rules.bufferBytes, LEAST_BUFFER_BYTES);
    if (isOver === this.#isPaused) return;
    this.#isPaused = isOver;
    if (isOver) this.#exchange?.pause();
    else this.#exchange?.resume();
  }

  #takePieces(): Uint8Array {
    const [only, ...others] = this.#pieces;
    if (only !== undefined && others.length === 0) return only;
    return Buffer.concat(this.#pieces);
  }

  /** Ends the exchange because its client has left, or reads no more. */
  #leave(): void {
    if (this.#state === "settled") return;
    this.#exchange?.abort();
    this.#settle();
  }

  /** Ends the exchange with an error. */
  #fail(status: number): void {
    if (this.#state === "settled") return;
    const feed = this.#feed;
    this.#exchange?.abort();
    this.#settle();
    if (feed !== null) feed.fail(status);
    else if (status === 503) this.#client.refuse(503, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    else this.#client.refuse(status);
  }

  #settle(): void {
    if (this.#state === "settled") return;
    this.#state = "settled";
    const { counters, open } = this.#options.parts;
    counters.admitted--;
    open.end();
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    this.#exchange = null;
    this.#upload?.detach();
    this.#intake?.close();
    this.#feed = null;
  }

  #logFailure(
    { name: upstream }: UpstreamServer,
    { phase, reason }: Pick<UpstreamFailure, "phase" | "reason">,
    status: number | null,
  ): void {
    const { head } = this.#client;
    const [path = ""] = head.target.split("?", 1);
    this.#options.parts.failures.note({
      upstream,
      phase,
      reason,
      method: head.method,
      path,
      requestId: this.#requestId(),
      status,
    });
  }

  #requestId(): string {
    const { head, id } = this.#client;
    return head.requestId ?? toRequestId(this.#options.parts.requestIdPrefix, id);
  }
}

/** Returns the field `host` for a server; `null`: that of the client. */
function toHost(host: ProxyOptions["host"], { name }: UpstreamServer): string | null {
  if (host === "keep") return null;
  return host === "upstream" ? toAuthority(name) : host.value;
}

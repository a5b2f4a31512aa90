import type { Socket } from "node:net";
import type { RequestHead } from "../../http/client.ts";
import { HEADER_SLACK_BYTES } from "../../http/head-limits.ts";
import { type Handshake, readHandshake, toAccept } from "../../http/web-socket-handshake.ts";
import { ChunkDecoder } from "../../lib/chunk-decoder.ts";
import type { ServedCertificate } from "../engine.ts";
import type { HeadRefusal } from "../head-fields.ts";
import { refusalFields } from "../refusal-page.ts";
import { type Http1Head, readHttp1Head, refusePartOfHead, refuseTrailers } from "./http1-head.ts";
import {
  formatHead,
  frameEnd,
  framePart,
  type Framing,
  joinHead,
  pickFraming,
} from "./http1-response.ts";
import { hasPeer } from "./has-peer.ts";
import { LAST_REQUEST_MS } from "./last-request.ts";
import { NodeClient } from "./node-client.ts";
import type { UpgradedStream } from "./node-web-socket.ts";
import type { NodeListenerContext } from "./listener-context.ts";
import { toCanonicalAddress } from "./peer-address.ts";
import { noteTls } from "./note-tls.ts";
import { OPTIONS_REPLY } from "./options-reply.ts";
import { prepareHead } from "./prepared-head.ts";
import { serveUpgrade } from "./serve-upgrade.ts";
import type { ResponseHead, Transport, UpgradeAnswer } from "./transport.ts";

/** Longest pause of a client that still sends after the last response, like Nginx's `lingering_timeout`. */
const LINGER_MS = 5_000;

/** Longest total time for such a client, like Nginx's `lingering_time`. */
const LINGER_TOTAL_MS = 30_000;

/** Bytes of a body that are read although no exchange needs them, so that the connection can stay open. */
const MOST_DROPPED_BYTES = 1024 * 1024;

/** Pause before the kernel asks whether a silent client of HTTP/1.0 that has ended its side is still there. */
const PROBE_MS = 10_000;

/** Bytes of further requests that are read while a request waits for its answer. More stay in the kernel. */
const MOST_AHEAD_BYTES = 64 * 1024;

/** Bytes of responses that may wait for the client when its next request is begun. */
const MOST_UNSENT_BYTES = 64 * 1024;

/** Most pipelined requests that are begun in one turn of the event loop. */
const REQUESTS_PER_TURN = 32;

/** Bytes of an incomplete head that the access log may show. */
const MOST_LOGGED = 1024;

/** Shortest `Connection` with the option `upgrade`. */
const LEAST_UPGRADE = "upgrade".length;

const HEAD_END = "\r\n\r\n";
const CONTINUE = "HTTP/1.1 100 Continue\r\n\r\n";
const CR = 0x0d;
const LF = 0x0a;

/**
 * A connection of HTTP/1. It runs one request after the other, in their order; the next one begins when the response
 * before it is complete.
 *
 *     idle ──first byte──▶ head ──complete──▶ exchange ──response and body complete──▶ idle
 *       │                   └── refused ──┐      ├── the connection ends with it ──┐
 *       └──────────────── time is over ───┴───────▶ leaving ◀─────────────────────┘──▶ closed
 *                                                └── a WebSocket is accepted ──▶ upgraded ──▶ closed
 *
 * `leaving`: all is written, and the client may still send. Its bytes are read and dropped, since closing would reset the
 * connection, and the client could lose the response.
 */
export class Http1Connection implements Transport {
  readonly #socket: Socket;
  readonly #context: NodeListenerContext;
  readonly #certificate: ServedCertificate | null;
  readonly #peer: string;
  readonly #tls: number;
  #state: "idle" | "head" | "exchange" | "leaving" | "upgraded" | "closed" = "idle";
  /** Time at which the present state began, or in which the client last sent something while it is left. */
  #sinceMs: number;
  /** End of the time for a client that still sends after its response. */
  #leaveEndMs = 0;
  /** Bytes that were read and not yet used; `null`: none. */
  #input: Buffer | null = null;
  /** Bytes of an incomplete head that were searched for its end. */
  #searched = 0;
  #isRunning = false;
  #runsLater = false;
  /** The client has ended its side. */
  #halfClosed = false;
  #client: NodeClient | null = null;
  #minor: 0 | 1 = 1;
  /** The connection ends with the present response. */
  #isLast = false;
  /** Bytes left of a body with a length; `null`: the body is chunked. */
  #bodyLeft: number | null = 0;
  #chunks: ChunkDecoder | null = null;
  #bodyDone = true;
  #bodyPaused = false;
  #bodyDropped = false;
  /** A responder has asked for the body. A body that is refused from the start is not worth reading. */
  #isBodyWanted = false;
  #awaitsContinue = false;
  /** The client expects something else than 100 (RFC 9110 section 10.1.1). */
  #hasUnknownExpectation = false;
  /** The head of the response is made. */
  #hasBegun = false;
  /** The response is complete as soon as its bytes have left. */
  #isFlushing = false;
  /** Head of a response that leaves with the first part of its body. */
  #head = "";
  #framing: Framing = "length";

  constructor(
    socket: Socket,
    options: {
      context: NodeListenerContext;
      certificate: ServedCertificate | null;
      peer: string;
      /** Number of the facts about the connection's TLS (`lib/tls-facts.ts`); 0: none. */
      tls: number;
    },
  ) {
    this.#socket = socket;
    this.#context = options.context;
    this.#certificate = options.certificate;
    this.#peer = options.peer;
    this.#tls = options.tls;
    this.#sinceMs = options.context.clock.now();
    socket.on("data", (bytes: Buffer) => this.#onData(bytes));
    socket.on("end", () => this.#onEnd());
    socket.on("close", () => this.#onClose());
    // "close" follows, and the exchange ends there.
    socket.on("error", () => {});
  }

  get isBlocked(): boolean {
    return this.#socket.writableLength > 0;
  }

  get awaitsContinue(): boolean {
    return this.#awaitsContinue;
  }

  writeWhole(
    head: ResponseHead,
    { body, cutsOff }: { body: string | Uint8Array | null; cutsOff: boolean },
  ): void {
    const text = this.#beginResponse(head, cutsOff);
    this.#write(joinHead(text, head.hasBody ? body : null));
    if (cutsOff) this.#cutOff();
    else this.#responseDone();
  }

  writeHead(head: ResponseHead): void {
    this.#head = this.#beginResponse(head, false);
  }

  write(bytes: Uint8Array): void {
    const head = this.#head;
    this.#head = "";
    this.#write(framePart(head, bytes, this.#framing));
  }

  end(): void {
    const rest = frameEnd(this.#head, this.#framing);
    this.#head = "";
    if (rest !== "") this.#write(Buffer.from(rest, "latin1"));
    if (this.isBlocked) this.#isFlushing = true;
    else this.#responseDone();
  }

  destroy(): void {
    // The orderly end of a connection ends a response of HTTP/1.0 without a length, so that one needs a reset. A client that
    // reads nothing would keep its bytes in the kernel. All others get the bytes that were written.
    if (this.#framing === "close" || this.isBlocked) this.#context.reset(this.#socket);
    else this.#socket.destroy();
  }

  wantBody(): void {
    this.#isBodyWanted = true;
    if (!this.#awaitsContinue || this.#bodyDone) return;
    this.#awaitsContinue = false;
    this.#write(Buffer.from(CONTINUE));
  }

  pauseBody(): void {
    if (this.#bodyDone || this.#bodyDropped) return;
    this.#bodyPaused = true;
    this.#socket.pause();
  }

  resumeBody(): void {
    if (!this.#bodyPaused) return;
    this.#bodyPaused = false;
    this.#socket.resume();
    if (this.#input === null) this.#endIfCutShort();
    else this.#runLater();
  }

  dropBody(): void {
    this.#bodyDropped = true;
    // Such a client sends its body or does not.
    if (this.#awaitsContinue) this.#isLast = true;
    this.resumeBody();
    // A body that has arrived already does not cost the connection.
    if (!this.#bodyDone && this.#input !== null) this.#consumeBody();
  }

  upgrade(head: ResponseHead, { key, protocol, extensions }: UpgradeAnswer): UpgradedStream | null {
    if (this.#halfClosed || this.#state !== "exchange") return null;
    const accept = `Sec-WebSocket-Accept: ${toAccept(key ?? "")}\r\n`;
    const chosen = protocol === null ? "" : `Sec-WebSocket-Protocol: ${protocol}\r\n`;
    const agreed = extensions === null ? "" : `Sec-WebSocket-Extensions: ${extensions}\r\n`;
    const connection = `Connection: Upgrade\r\nUpgrade: websocket\r\n${accept}${chosen}${agreed}`;
    this.#write(
      joinHead(
        formatHead(head, { framing: "length", connection, date: this.#context.date() }),
        null,
      ),
    );
    this.#state = "upgraded";
    this.#client = null;
    const socket = this.#socket;
    const early = this.#input;
    this.#input = null;
    // Reading goes on in a later turn, with the bytes that came before.
    socket.pause();
    if (early !== null) socket.unshift(early);
    process.nextTick(() => socket.resume());
    return {
      duplex: socket,
      writesAtOnce: this.#context.scheme === "http",
      cut: () => this.destroy(),
    };
  }

  /** The connection ends with its next response, or when it stays idle. */
  drain(): void {}

  /** Ends a connection whose time is over. The listener calls this about once a second. */
  check(nowMs: number): void {
    const { headTimeoutMs, limits } = this.#context;
    const ageMs = nowMs - this.#sinceMs;
    switch (this.#state) {
      case "idle":
        if (this.isBlocked) {
          if (limits.sendTimeoutMs > 0 && ageMs > limits.sendTimeoutMs) this.destroy();
        } else if (ageMs > this.#mostIdleMs) this.#leave();
        break;
      case "head":
        if (ageMs > headTimeoutMs) this.#refuseSlowHead();
        break;
      case "leaving":
        if (this.isBlocked && nowMs <= this.#leaveEndMs) {
          // Responses still wait for the client.
          if (limits.sendTimeoutMs > 0 && ageMs > limits.sendTimeoutMs) this.destroy();
        } else if (ageMs > LINGER_MS || nowMs > this.#leaveEndMs) this.#socket.destroy();
        break;
      case "exchange":
        if (this.#isGone(nowMs)) this.destroy();
        break;
      case "upgraded":
      case "closed":
        break;
    }
  }

  get #mostIdleMs(): number {
    const { keepAliveTimeoutMs, closing } = this.#context;
    return closing ? Math.min(keepAliveTimeoutMs, LAST_REQUEST_MS) : keepAliveTimeoutMs;
  }

  #onData(bytes: Buffer): void {
    if (this.#state === "upgraded") return;
    if (this.#state === "leaving") {
      if (!this.isBlocked) this.#sinceMs = this.#context.clock.now();
      return;
    }
    this.#input = this.#input === null ? bytes : Buffer.concat([this.#input, bytes]);
    this.#run();
  }

  #onEnd(): void {
    if (this.#state === "upgraded") return;
    this.#halfClosed = true;
    this.#sinceMs = this.#context.clock.now();
    if (this.#state !== "exchange") this.#settleReading();
    else if (this.#bodyDone) this.#probe();
    else this.#endIfCutShort();
  }

  /** Ends the connection if the rest of a body will never come. */
  #endIfCutShort(): void {
    if (!this.#halfClosed || this.#state !== "exchange" || this.#bodyDone) return;
    // A paused reader still takes the bytes that have come.
    if (!this.#bodyPaused && this.#input === null) this.destroy();
  }

  /**
   * Finds out whether a client that has ended its side has closed the connection. Then its kernel answers the next bytes
   * with a reset, which `check` sees. A client that waits for its response drops a response 100 (RFC 9110 section 15.2).
   */
  #probe(): void {
    if (this.#hasBegun) return;
    if (this.#minor === 1) this.#write(Buffer.from(CONTINUE));
    else this.#socket.setKeepAlive(true, PROBE_MS);
  }

  /** Tells whether the client of the present exchange has left without a sign of it from Node. */
  #isGone(nowMs: number): boolean {
    const ageMs = nowMs - this.#sinceMs;
    // The rest of a body that no exchange needs.
    if (this.#client === null) return ageMs > LINGER_MS || nowMs > this.#leaveEndMs;
    // Such a socket is not read, so Node does not notice a reset.
    if ((this.#bodyPaused || this.#halfClosed) && !hasPeer(this.#socket)) return true;
    // A stream without bytes has no other way to find out, and most clients that end their side have left.
    return this.#halfClosed && this.#hasBegun && !this.isBlocked && ageMs > LINGER_MS;
  }

  #onClose(): void {
    this.#state = "closed";
    this.#input = null;
    const client = this.#client;
    this.#client = null;
    client?.onGone();
    this.#context.onConnectionClosed(this);
  }

  /** Uses the bytes that were read, as far as possible now. */
  #run(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    try {
      let requests = 0;
      while (this.#hasInput) {
        if (this.#state === "exchange") {
          if (this.#bodyDone || this.#bodyPaused) break;
          this.#consumeBody();
        } else if (this.#state === "idle" || this.#state === "head") {
          if (this.#socket.writableLength > MOST_UNSENT_BYTES) break;
          if (requests === REQUESTS_PER_TURN) break;
          if (!this.#readHead()) break;
          requests++;
        } else break;
      }
    } finally {
      this.#isRunning = false;
    }
    const isWaiting = this.#state === "idle" && this.#socket.writableLength <= MOST_UNSENT_BYTES;
    if (isWaiting) this.#runLater();
    this.#endIfCutShort();
    this.#settleReading();
  }

  #runLater(): void {
    if (this.#runsLater || this.#isRunning || !this.#hasInput) return;
    this.#runsLater = true;
    setImmediate(() => {
      this.#runsLater = false;
      this.#run();
    });
  }

  /** Reads no further while many bytes wait for their turn. */
  #settleReading(): void {
    if (this.#state === "closed" || this.#state === "upgraded") return;
    const waits = this.#bodyPaused || (this.#input?.length ?? 0) > MOST_AHEAD_BYTES;
    if (waits !== this.#socket.isPaused()) {
      if (waits) this.#socket.pause();
      else this.#socket.resume();
    }
    if (this.#halfClosed) this.#leaveIfHalfClosed();
  }

  /** Leaves a client that has ended its side, once all its requests are answered. */
  #leaveIfHalfClosed(): void {
    const isDone = this.#state === "head" || (this.#state === "idle" && !this.#hasInput);
    if (this.#halfClosed && isDone) this.#leave();
  }

  /** Drops the first bytes of the input. */
  #take(bytes: number): void {
    const input = this.#input;
    if (input === null) return;
    this.#input = bytes < input.length ? input.subarray(bytes) : null;
  }

  /** Reads a head and begins its exchange. Returns false when more bytes are needed. */
  #readHead(): boolean {
    if (this.#state === "idle") {
      this.#dropEmptyLines();
      if (!this.#hasInput) return false;
      this.#state = "head";
      this.#sinceMs = this.#context.clock.now();
      this.#searched = 0;
    }
    const input = this.#input;
    if (input === null) return false;
    const from = Math.max(0, this.#searched - HEAD_END.length + 1);
    const end = input.indexOf(HEAD_END, from, "latin1");
    if (end === -1) {
      this.#readPartOfHead(input);
      return false;
    }
    const head = readHttp1Head(input.toString("latin1", 0, end), {
      fields: this.#context.heads,
      scheme: this.#context.scheme,
      ownHost: () => this.#ownHost(),
    });
    this.#take(end + HEAD_END.length);
    if ("reason" in head) this.#refuse(head);
    else this.#begin(head);
    return true;
  }

  /** Drops empty lines before a request line (RFC 9112 section 2.2). */
  #dropEmptyLines(): void {
    let end = 0;
    while (this.#input?.[end] === CR && this.#input[end + 1] === LF) end += 2;
    if (end > 0) this.#take(end);
  }

  /** True while bytes wait for their turn. Half of an empty line between requests waits for its other half. */
  get #hasInput(): boolean {
    const input = this.#input;
    return input !== null && (this.#state !== "idle" || input.length > 1 || input[0] !== CR);
  }

  /** Looks at a head that is not complete. */
  #readPartOfHead(input: Buffer): void {
    const refusal = refusePartOfHead(input, this.#searched);
    this.#searched = input.length;
    const mostBytes = this.#context.headerLimitBytes + HEADER_SLACK_BYTES;
    if (refusal !== null) this.#refuse(refusal);
    else if (input.length > mostBytes) {
      const lineEnd = input.indexOf("\r\n", 0, "latin1");
      const [method = "", target = ""] = input
        .toString("latin1", 0, Math.max(0, lineEnd))
        .split(" ");
      const status = lineEnd === -1 ? 414 : 431;
      this.#refuse({ status, reason: `head of more than ${mostBytes} bytes`, method, target });
    }
  }

  /** Host and port of this end of the connection, for requests of HTTP/1.0 that name none. */
  #ownHost(): string {
    const { localAddress = "", localPort } = this.#socket;
    const address = toCanonicalAddress(localAddress);
    return `${address.includes(":") ? `[${address}]` : address}:${localPort}`;
  }

  #begin(start: Http1Head): void {
    const { heads } = this.#context;
    const bodyBytes = heads.bodyBytes();
    const request = { method: start.method, target: start.target, peer: this.#peer };
    const head =
      typeof bodyBytes === "object" && bodyBytes !== null
        ? bodyBytes
        : heads.toHead({ ...request, bodyBytes });
    if ("reason" in head) {
      this.#refuse({ ...head, ...request });
      return;
    }
    if (start.minor === 0) head.protocol = "HTTP/1.0";
    noteTls(head, this.#tls);
    const keepsAlive = start.minor === 1 || /\bkeep-alive\b/i.test(heads.connection ?? "");
    this.#isLast = heads.hasClose || !keepsAlive;
    this.#minor = start.minor;
    this.#bodyLeft = head.bodyBytes;
    this.#bodyDone = head.bodyBytes === 0;
    this.#bodyDropped = false;
    this.#isBodyWanted = false;
    this.#chunks = head.bodyBytes === null ? this.#decodeChunks() : null;
    this.#awaitsContinue = start.minor === 1 && heads.expect !== null && head.bodyBytes !== 0;
    this.#hasUnknownExpectation =
      start.minor === 1 && heads.expect !== null && heads.expect.toLowerCase() !== "100-continue";
    this.#hasBegun = false;
    this.#state = "exchange";
    const client = new NodeClient(head, { transport: this, context: this.#context });
    this.#client = client;
    this.#serve(client, start.minor === 1 ? this.#readHandshake(head) : null);
    if (this.#bodyDone) client.onBodyEnd();
  }

  /** Returns the request for a WebSocket in a head; `null`: it asks for none (RFC 6455 section 4.2.1). */
  #readHandshake(head: RequestHead): Handshake | null {
    const { heads } = this.#context;
    const { connection } = heads;
    if (connection === null || connection.length < LEAST_UPGRADE || head.method !== "GET") {
      return null;
    }
    if (connection === "keep-alive" || this.#isLast || !this.#bodyDone) return null;
    return heads.asksForUpgrade ? readHandshake(head.fields) : null;
  }

  #decodeChunks(): ChunkDecoder {
    return new ChunkDecoder({ headBytes: this.#context.headerLimitBytes, refuseTrailers });
  }

  /** Hands the request over. */
  #serve(client: NodeClient, handshake: Handshake | null): void {
    const context = this.#context;
    try {
      if (!context.counts.begin(client, context.heads.size)) return;
      if (this.#hasUnknownExpectation) client.refuse(417);
      else if (handshake !== null) serveUpgrade(client, handshake, context, this.#certificate);
      else if (client.head.target === "*") client.reply(OPTIONS_REPLY);
      else context.onRequest(client, this.#certificate, context.heads.ownOrigin);
    } catch (error) {
      context.onError(error);
      client.refuse(500);
    }
  }

  /** Passes on or drops as much of the body as has come. */
  #consumeBody(): void {
    while (this.#input !== null && !this.#bodyDone && !this.#bodyPaused) {
      if (this.#chunks === null) this.#consumeLength(this.#input);
      else if (!this.#consumeChunks(this.#chunks, this.#input)) return;
    }
  }

  #consumeLength(input: Buffer): void {
    const part = Math.min(this.#bodyLeft ?? 0, input.length);
    this.#bodyLeft = (this.#bodyLeft ?? 0) - part;
    this.#take(part);
    this.#passOn(input.subarray(0, part));
    if (this.#bodyLeft === 0) this.#bodyEnded();
  }

  /** Returns false when the body is invalid. */
  #consumeChunks(chunks: ChunkDecoder, input: Buffer): boolean {
    const at = chunks.skip(input, 0, input.length);
    if (chunks.problem !== null) {
      this.#refuseBody();
      return false;
    }
    const part = chunks.dataBytes(input.length - at);
    if (part > 0) chunks.take(part);
    this.#take(at + part);
    if (part > 0) this.#passOn(input.subarray(at, at + part));
    else if (chunks.isEnded) this.#bodyEnded();
    return true;
  }

  #passOn(bytes: Buffer): void {
    this.#awaitsContinue = false;
    this.#sinceMs = this.#context.clock.now();
    if (!this.#bodyDropped) this.#client?.onBody(bytes);
  }

  #bodyEnded(): void {
    if (this.#bodyDone) return;
    this.#bodyDone = true;
    this.#bodyPaused = false;
    this.#chunks = null;
    if (this.#client !== null) {
      this.#client.onBodyEnd();
      if (this.#halfClosed) this.#probe();
    } else if (this.#state === "exchange") this.#becomeIdle();
  }

  /** Ends the connection after an invalid body: it is unknown where the next request begins. */
  #refuseBody(): void {
    this.#isLast = true;
    this.#bodyDone = true;
    this.#input = null;
    const client = this.#client;
    if (client === null) this.#socket.destroy();
    else client.onBadBody();
  }

  /** Returns the head of a response as text, and decides whether the connection ends with it. */
  #beginResponse(head: ResponseHead, cutsOff: boolean): string {
    const context = this.#context;
    const framing = pickFraming(head, this.#minor);
    this.#framing = framing;
    this.#hasBegun = true;
    const isBodyFine = this.#bodyDone || this.#isBodyWorthReading;
    this.#isLast ||= cutsOff || context.closing || !isBodyFine || framing === "close";
    const connection = this.#isLast
      ? "Connection: close\r\n"
      : this.#minor === 1
        ? context.keepAliveLine
        : `Connection: keep-alive\r\n${context.keepAliveLine}`;
    return formatHead(head, { framing, connection, date: context.date() });
  }

  /** Tells whether the rest of the body is read for the sake of the connection. */
  get #isBodyWorthReading(): boolean {
    const left = this.#bodyLeft;
    return (
      this.#isBodyWanted && left !== null && left <= MOST_DROPPED_BYTES && !this.#awaitsContinue
    );
  }

  #responseDone(): void {
    this.#isFlushing = false;
    this.#client = null;
    if (this.#isLast) {
      this.#leave();
      return;
    }
    if (this.#bodyDone) this.#becomeIdle();
    else this.#startLinger();
  }

  #becomeIdle(): void {
    this.#state = "idle";
    this.#sinceMs = this.#context.clock.now();
    // Not in this call: it may be one of the exchange that ends.
    this.#runLater();
    this.#leaveIfHalfClosed();
  }

  /** Answers an invalid head, and ends the connection: it is not certain where the request ends. */
  #refuse({
    status,
    reason,
    method,
    target,
  }: HeadRefusal & Pick<Http1Head, "method" | "target">): void {
    const context = this.#context;
    const clientAddress = context.heads.clientAddress(this.#peer);
    const { scheme } = context;
    const finish = context.counts.beginRefusal({ method, target, reason, scheme, clientAddress });
    const body = `${reason}\n`;
    const fields = prepareHead(refusalFields(status));
    if (fields === null) throw new TypeError("a refusal has fields that cannot be written");
    const hasBody = method !== "HEAD";
    this.#isLast = true;
    this.#input = null;
    const lengthBytes = Buffer.byteLength(body);
    const head = { status, statusText: "", fields, lengthBytes, hasBody };
    this.#write(joinHead(this.#beginResponse(head, true), hasBody ? body : null));
    this.#leave();
    finish({ status, bodyBytes: hasBody ? lengthBytes : 0 });
  }

  #refuseSlowHead(): void {
    const input = this.#input?.toString("latin1", 0, MOST_LOGGED) ?? "";
    const [method = "", target = ""] = input.slice(0, Math.max(0, input.indexOf("\r"))).split(" ");
    this.#refuse({ status: 408, reason: "head is not complete in time", method, target });
  }

  readonly #onWritten = (error?: Error | null): void => {
    if (error !== undefined && error !== null) return;
    if (this.isBlocked || this.#state === "closed" || this.#state === "upgraded") return;
    if (this.#state === "idle") this.#sinceMs = this.#context.clock.now();
    else if (this.#state === "leaving" && this.#leaveEndMs === Infinity) this.#startLinger();
    // The exchange may write its last bytes in `onRoom`, and these have not left.
    const isComplete = this.#isFlushing;
    this.#client?.onRoom();
    if (isComplete) this.#responseDone();
    else this.#runLater();
  };

  #write(bytes: Buffer): void {
    if (this.#halfClosed) this.#sinceMs = this.#context.clock.now();
    this.#socket.write(bytes, this.#onWritten);
  }

  /** Ends the connection in order: the client may still send, and has time to read. */
  #leave(): void {
    if (this.#state === "leaving" || this.#state === "closed") return;
    this.#state = "leaving";
    this.#input = null;
    this.#startLinger();
    // The times begin once the client has taken its responses.
    if (this.isBlocked) this.#leaveEndMs = Infinity;
    this.#socket.end();
    this.#socket.resume();
  }

  /** Starts the times for a client that still sends after its response. */
  #startLinger(): void {
    this.#sinceMs = this.#context.clock.now();
    this.#leaveEndMs = this.#sinceMs + LINGER_TOTAL_MS;
  }

  /** Ends the connection as soon as its bytes have left, although the client may still send. */
  #cutOff(): void {
    this.#client = null;
    this.#state = "leaving";
    this.#input = null;
    this.#leaveEndMs = 0;
    this.#socket.destroySoon();
  }
}

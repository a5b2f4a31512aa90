import {
  constants,
  performServerHandshake,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { RequestHead } from "../../http/client.ts";
import { findField } from "../../http/find-field.ts";
import { HEADER_SLACK_BYTES } from "../../http/head-limits.ts";
import { WEB_SOCKET_VERSION } from "../../http/web-socket-handshake.ts";
import type { ServedCertificate } from "../engine.ts";
import type { HeadRefusal } from "../head-fields.ts";
import { refusalFields } from "../refusal-page.ts";
import { type Http2RequestLine, readHttp2Head } from "./http2-head.ts";
import { treatConnection } from "./http2-health.ts";
import { type Http2Owner, Http2Transport } from "./http2-transport.ts";
import type { NodeListenerContext, OpenConnection } from "./listener-context.ts";
import { NodeClient, type UpgradeRequest } from "./node-client.ts";
import { noteTls } from "./note-tls.ts";
import { OPTIONS_REPLY } from "./options-reply.ts";
import { prepareHead } from "./prepared-head.ts";
import { serveUpgrade } from "./serve-upgrade.ts";

const { NGHTTP2_ENHANCE_YOUR_CALM, NGHTTP2_FLAG_END_STREAM } = constants;

/**
 * Codes for errors of nghttp2 that a client causes. Node would send INTERNAL_ERROR for all of them. nghttp2.h:
 * `NGHTTP2_ERR_PROTO`, `NGHTTP2_ERR_STREAM_CLOSED`, `NGHTTP2_ERR_FLOODED`, `NGHTTP2_ERR_FLOW_CONTROL`,
 * `NGHTTP2_ERR_BAD_CLIENT_MAGIC`.
 */
const CODES: ReadonlyMap<unknown, number> = new Map([
  [-505, constants.NGHTTP2_PROTOCOL_ERROR],
  [-510, constants.NGHTTP2_STREAM_CLOSED],
  [-524, constants.NGHTTP2_FLOW_CONTROL_ERROR],
  [-903, constants.NGHTTP2_PROTOCOL_ERROR],
  [-904, NGHTTP2_ENHANCE_YOUR_CALM],
]);

/**
 * Fields of a request that Node reads beyond `headerCountLimit`. Up to there the request gets an answer, beyond it
 * ENHANCE_YOUR_CALM. Clients split cookies into several fields, which count as one for the limit.
 */
const SPARE_FIELDS = 128;

/** Overhead of a field in SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113 section 6.5.2). */
const FIELD_BYTES = 32;

/** Memory of a connection in MB, besides the bodies of requests. Beyond it, Node refuses further streams. */
const SESSION_MEGABYTES = 10;

/**
 * Streams that a client may begin in one turn of the event loop, for each stream that it may have at a time. Only a client
 * that resets them at once can begin more. Nginx has the same limit.
 */
const STREAMS_PER_TURN = 2;

/** Time for a client to close a connection that has ended, like Nginx's `lingering_timeout`. */
const LINGER_MS = 5_000;

/**
 * A connection of HTTP/2. Its streams run side by side.
 *
 *     open ──drain(), or idle──▶ draining (GOAWAY is sent) ──last stream closed──▶ ended ──▶ closed
 *       └──────────────── error of the client, or too many bytes without content ──▲
 */
export class Http2Connection implements OpenConnection, Http2Owner {
  readonly #socket: Socket;
  readonly #session: ServerHttp2Session;
  readonly #context: NodeListenerContext;
  readonly #certificate: ServedCertificate | null;
  readonly #peer: string;
  readonly #tls: number;
  readonly #open = new Set<Http2Transport>();
  /** Time at which a stream began or ended. */
  #activeMs: number;
  /** Time of the turn in which the latest stream began, and how many have begun in it. */
  #turnMs = 0;
  #turnStreams = 0;
  /** Time at which the connection had nothing left to do but to close; `null`: it has. */
  #spentMs: number | null = null;
  #requestBytes = 0;
  #seenRequestBytes = 0;
  #provenBytes = 0;
  /** Bytes that the client had sent when the last PING frame was submitted after which something was written. */
  #halfProvenBytes = 0;
  /** Bytes that were sent and received when the last PING frame was submitted; `null`: it has left, or there was none. */
  #probed: { sentBytes: number; receivedBytes: number } | null = null;
  /** Time at which the PING frame was submitted that the client has not answered; `null`: it has answered all. */
  #askedMs: number | null = null;

  /**
   * Takes over a socket whose peer has chosen HTTP/2 by ALPN or by prior knowledge. Its bytes may have been read partly;
   * the caller must have put them back.
   */
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
    const { context } = options;
    this.#socket = socket;
    this.#context = context;
    this.#certificate = options.certificate;
    this.#peer = options.peer;
    this.#tls = options.tls;
    this.#activeMs = context.clock.now();
    const pairs = 2 * context.headerCountLimit + SPARE_FIELDS;
    this.#session = performServerHandshake(socket, {
      maxHeaderListPairs: pairs,
      maxSessionMemory: SESSION_MEGABYTES,
      settings: {
        maxConcurrentStreams: context.maxConcurrentStreams,
        // RFC 8441 section 3.
        enableConnectProtocol: true,
        maxHeaderListSize: context.headerLimitBytes + HEADER_SLACK_BYTES + FIELD_BYTES * pairs,
      },
    });
    sendOwnCodes(this.#session);
    this.#session.on("error", ignore);
    this.#session.on("stream", this.#onStream);
    // A client that ends its side can acknowledge nothing and open no window.
    socket.on("end", () => socket.destroy());
    socket.on("close", () => context.onConnectionClosed(this));
  }

  now(): number {
    return this.#context.clock.now();
  }

  onBodyBytes(bytes: number): void {
    this.#requestBytes += bytes;
  }

  onStreamClosed(transport: Http2Transport): void {
    this.#open.delete(transport);
    this.#activeMs = this.#context.clock.now();
  }

  /** Sends GOAWAY. The connection ends once its streams are over. */
  drain(): void {
    if (!this.#session.closed) this.#session.close();
  }

  /** Ends a connection whose time is over, or whose client does harm. The listener calls this about once a second. */
  check(nowMs: number): void {
    const session = this.#session;
    const waits = this.#cutSlowStreams(nowMs);
    if (this.#isSpent) {
      this.#spentMs ??= nowMs;
      if (nowMs - this.#spentMs > LINGER_MS) this.#socket.destroy();
    } else this.#spentMs = null;
    if (session.destroyed) return;
    if (this.#context.closing) this.drain();
    const { bytesRead, bytesWritten } = this.#socket;
    const probed = this.#probed;
    this.#probed = null;
    if (probed !== null) this.#judgeProbe(probed, bytesWritten);
    const treatment = treatConnection({
      receivedBytes: bytesRead,
      provenBytes: this.#provenBytes,
      requestBytes: this.#requestBytes,
      seenRequestBytes: this.#seenRequestBytes,
      sentBytes: bytesWritten,
      probedBytes: probed?.sentBytes ?? null,
      unansweredMs: this.#askedMs === null ? null : nowMs - this.#askedMs,
      waits,
      openStreams: this.#open.size,
      quietMs: nowMs - this.#activeMs,
      keepAliveTimeoutMs: this.#context.keepAliveTimeoutMs,
    });
    this.#seenRequestBytes = this.#requestBytes;
    switch (treatment) {
      case "keep":
        break;
      case "probe":
        this.#probe(nowMs, { sentBytes: bytesWritten, receivedBytes: bytesRead });
        break;
      case "dead":
        this.#socket.destroy();
        break;
      case "flood":
        session.destroy(undefined, NGHTTP2_ENHANCE_YOUR_CALM);
        break;
      case "idle":
        this.drain();
        break;
    }
  }

  /** The connection has ended, or waits only for streams that were cut off. */
  get #isSpent(): boolean {
    if (this.#session.destroyed) return true;
    for (const { isCut } of this.#open) if (!isCut) return false;
    return this.#open.size > 0 || this.#session.closed;
  }

  /**
   * Cuts off streams whose response is complete, and whose client takes no byte of it. The limits of the exchange do not
   * hold for them, because to the exchange they are over.
   *
   * @returns Whether bytes of any stream wait for the client.
   */
  #cutSlowStreams(nowMs: number): boolean {
    const { sendTimeoutMs } = this.#context.limits;
    let waits = false;
    for (const transport of this.#open) {
      const { writtenMs } = transport;
      if (writtenMs !== null && sendTimeoutMs > 0 && nowMs - writtenMs > sendTimeoutMs) {
        transport.destroy();
      }
      waits ||= transport.waitsForClient;
    }
    return waits;
  }

  #probe(nowMs: number, bytes: { sentBytes: number; receivedBytes: number }): void {
    const isSubmitted = this.#session.ping((error) => {
      if (error !== null) return;
      this.#askedMs = null;
      // The client's answer is no news.
      this.#prove(this.#socket.bytesRead);
    });
    if (!isSubmitted) return;
    this.#probed = bytes;
    this.#askedMs ??= nowMs;
  }

  /**
   * The bytes that were written may have been GOAWAY: nghttp2 writes it after an earlier write has ended, and then drops
   * the PING frame. After a second frame, they cannot.
   */
  #judgeProbe(probed: { sentBytes: number; receivedBytes: number }, sentBytes: number): void {
    if (sentBytes === probed.sentBytes) return;
    if (this.#halfProvenBytes === probed.receivedBytes) this.#prove(probed.receivedBytes);
    else this.#halfProvenBytes = probed.receivedBytes;
  }

  #prove(receivedBytes: number): void {
    this.#provenBytes = Math.max(this.#provenBytes, receivedBytes);
  }

  readonly #onStream = (
    stream: ServerHttp2Stream,
    _headers: IncomingHttpHeaders,
    flags: number,
    list: string[],
  ): void => {
    if (this.#isFlood()) {
      stream.on("error", ignore);
      this.#session.destroy(undefined, NGHTTP2_ENHANCE_YOUR_CALM);
      return;
    }
    const isComplete = (flags & NGHTTP2_FLAG_END_STREAM) !== 0;
    const { heads } = this.#context;
    const { line, head } = readHttp2Head(heads, { list, isComplete, peer: this.#peer });
    this.#requestBytes += heads.size.requestLineBytes + heads.size.fieldsBytes;
    this.#activeMs = this.#turnMs;
    const hasBody = !isComplete;
    const transport = new Http2Transport(stream, this, {
      hasBody,
      expects: hasBody && heads.expect !== null,
    });
    this.#open.add(transport);
    try {
      if ("reason" in head) this.#refuse(transport, { ...head, ...line });
      else {
        noteTls(head, this.#tls);
        this.#serve(transport, head, line.isUpgrade === true && !isComplete);
      }
    } catch (error) {
      this.#context.onError(error);
      transport.destroy();
    }
  };

  /** Counts a stream that begins. Returns whether too many have begun in this turn. */
  #isFlood(): boolean {
    const nowMs = this.#context.clock.now();
    this.#turnStreams = nowMs === this.#turnMs ? this.#turnStreams + 1 : 1;
    this.#turnMs = nowMs;
    return this.#turnStreams > STREAMS_PER_TURN * this.#context.maxConcurrentStreams;
  }

  /** Hands the request over. */
  #serve(transport: Http2Transport, head: RequestHead, isUpgrade: boolean): void {
    const context = this.#context;
    const client = new NodeClient(head, { transport, context });
    transport.attach(client);
    try {
      if (!context.counts.begin(client, context.heads.size)) return;
      if (isUpgrade) serveUpgrade(client, readUpgrade(head), context, this.#certificate);
      else if (head.target === "*") client.reply(OPTIONS_REPLY);
      else context.onRequest(client, this.#certificate, context.heads.ownOrigin);
      if (head.bodyBytes === 0) client.onBodyEnd();
    } catch (error) {
      context.onError(error);
      client.refuse(500);
    }
  }

  /** Answers an invalid head. The other streams of the connection go on. */
  #refuse(
    transport: Http2Transport,
    { status, reason, method, target }: HeadRefusal & Http2RequestLine,
  ): void {
    const { counts, heads, scheme } = this.#context;
    const clientAddress = heads.clientAddress(this.#peer);
    const finish = counts.beginRefusal({
      method,
      target,
      reason,
      scheme,
      clientAddress,
      protocol: "HTTP/2.0",
    });
    const fields = prepareHead(refusalFields(status));
    if (fields === null) throw new TypeError("a refusal has fields that cannot be written");
    const body = `${reason}\n`;
    const lengthBytes = Buffer.byteLength(body);
    const hasBody = method !== "HEAD";
    transport.dropBody();
    transport.writeWhole({ status, statusText: "", fields, lengthBytes, hasBody }, { body });
    finish({ status, bodyBytes: hasBody ? lengthBytes : 0 });
  }
}

/** Reads a request for a WebSocket, which has no key (RFC 8441 section 5). */
function readUpgrade({ fields }: RequestHead): UpgradeRequest {
  return {
    key: null,
    isCurrent: findField(fields, "sec-websocket-version") === WEB_SOCKET_VERSION,
  };
}

/** Makes Node end the connection with the code of the client's error. */
function sendOwnCodes(session: ServerHttp2Session): void {
  const destroy = session.destroy.bind(session);
  session.destroy = (error, code) => {
    // Node passes `null` when a closed session has no more streams.
    const own = error instanceof Error && "errno" in error ? CODES.get(error.errno) : undefined;
    // For an absent error Node would take NO_ERROR, and leave out the code.
    const given = error ?? (code === undefined ? undefined : null);
    destroy(given as Error | undefined, code ?? own);
  };
}

function ignore(): void {}

import type { ExchangeId, WorkerId } from "../channel/messages.ts";
import type { CacheResult } from "./cache-result.ts";
import type { Inquiry } from "./inquiry.ts";
import type { LimitName } from "./limit-names.ts";
import type { Reply, ReplyFilter } from "./reply.ts";
import type { TraceContext } from "../lib/trace-context.ts";
import type { Timings } from "./timings.ts";
import type { WebSocketOffer } from "./web-socket.ts";

export type { ExchangeId, WorkerId };

/** A protocol as access logs name it. */
export type Protocol = "HTTP/1.0" | "HTTP/1.1" | "HTTP/2.0";

/** The head of a request. */
export interface RequestHead {
  /** The method as the client sent it, a case-sensitive token (RFC 9110 section 9.1). */
  method: string;
  /** The request target in origin form as the client sent it, with its query. */
  target: string;
  /**
   * Scheme and authority in the serialization of the URL standard, e.g. `https://example.com:8443`. Behind a trusted proxy, those
   * that the proxy names.
   */
  origin: string;
  /** Field block (see `channel/messages.ts`) without the fields that concern only this connection. */
  fields: string;
  /** Announced size of the body in bytes; `null`: it is chunked; 0: there is none. */
  bodyBytes: number | null;
  /** IPv4 or IPv6 in canonical text form: that of the peer, or the one that a trusted proxy names. */
  clientAddress: string;
  /** Address of the trusted proxy that named the client, in the same form; absent: the client is the peer. */
  peerAddress?: string;
  /** A rule has authenticated the visitor: an answer may be about this visitor. Absent: no rule has. */
  hasKnownUser?: boolean;
  /** Version of the protocol that the client speaks; absent: `HTTP/1.1`. */
  protocol?: Protocol;
  /** Version and cipher of the client's TLS (`lib/tls-facts.ts`); absent or 0: none, or the engine does not know. */
  tls?: number;
  /** Number that a trusted proxy gave to the request; `null` or absent: the server's own counts. */
  requestId?: string | null;
}

/** A request whose head is invalid. */
export interface RefusedHead {
  /** Status of the answer; 499: the client left before the answer. */
  status: number;
  reason: string;
  /** Version of the protocol that the client speaks; absent: `HTTP/1.1`. */
  protocol?: Protocol;
  /** Method and target as the client sent them. They may be invalid. */
  method: string;
  target: string;
  scheme: "http" | "https";
  clientAddress: string;
  id: ExchangeId;
  /** `performance.now()` when the head was complete. */
  receivedMs: number;
  /** Size of the body of the answer. */
  bodyBytes: number;
}

/** Receives a request body as it arrives. */
export interface BodySink {
  /** The bytes are valid during the call only: a sink copies the bytes that it keeps. */
  chunk(bytes: Uint8Array): void;
  end(): void;
}

/** Pauses a client that sends faster than the server consumes its body. Bytes that are in flight still arrive. */
export interface BodyFlow {
  pause(): void;
  resume(): void;
}

/** Receives a request body for another sink that is not known yet. */
export interface HeldBodySink extends BodySink {
  /** Begins to hold. */
  start(flow: BodyFlow): void;
  /** Passes the body on from its first byte. */
  release(sink: BodySink): BodyFlow;
}

/** A body that is read piece by piece. */
export interface BodySource {
  /**
   * Returns the next bytes, at most `maxBytes`; `null`: none are available now. The bytes are valid until the next call
   * of `read` or `cancel`.
   */
  read(maxBytes: number): Uint8Array | null;
  /** `open`: more bytes may come. `ended`: all bytes were read. `failed`: the rest will never come. */
  readonly state: "open" | "ended" | "failed";
  /** Number of bytes left, once all of them are available; `null` or absent: unknown. */
  readonly wholeBytes?: number | null;
  /** Status of the answer if the body fails before the client received anything; absent: 500. */
  readonly failedAs?: number;
  /** Called when a read may succeed and when the state changes. There is one listener. */
  onChange: (() => void) | null;
  /** Tells the source that no more bytes are needed. */
  cancel(): void;
}

/** A request's way through an upstream server, for the access log. */
export interface UpstreamNote {
  /** The server, as the config names it. With several attempts, the last one. */
  name: string;
  /** Number of servers and connections on which the request was tried. */
  attempts: number;
  /** Status of its response; `null`: it has sent none. */
  status: number | null;
  /** From the first attempt to the head of the response, or to the failure. */
  durationMs: number | null;
}

/** Limits for slow clients. 0 turns a limit off. */
export interface TransferLimits {
  /** Longest pause between two pieces of a request body. */
  bodyTimeoutMs: number;
  /** Lowest average rate of a request body, after a grace period of 10 s. */
  minBodyRateBytesPerSecond: number;
  /** Longest time in which a client takes no byte of its response. */
  sendTimeoutMs: number;
}

/**
 * The client's side of one request, independent of the engine that holds the socket. It is settled once `reply` or
 * `refuse` was called, a WebSocket was accepted, or the client left: a stream may still be flowing then. Further calls have no effect.
 */
export interface Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  /** The connection, if requests share it at a time (HTTP/2); `null` or absent: the request has it alone. */
  readonly connection?: object | null;
  /** `performance.now()` when the head was complete. */
  readonly receivedMs: number;
  readonly settled: boolean;
  /** A part of the reply is written: the status can no longer change. */
  readonly begun: boolean;
  /** The worker that has or had the exchange; `null`: none. For the access log. */
  workerId: WorkerId | null;
  /** The limit that refused the request or cut it off; `null`: none. For the access log. */
  limitedBy: LimitName | null;
  /** The upstream server that has or had the request; `null` or absent: none. For the access log. */
  upstream?: UpstreamNote | null;
  /** The result of the response cache; `null` or absent: the request has none. For the access log. */
  cached?: CacheResult | null;
  /** Its handler failed after `passThroughOnException()`, and the site answers in its place. Absent: no. */
  passedOn?: boolean;
  /** Where its time went; `null` or absent for nearly all requests: no setting asks for it. */
  timings?: Timings | null;
  /** Its place in a trace that is sampled; `null` or absent: it is in none. */
  trace?: TraceContext | null;
  /** The access log has a line for the request, if there is an access log. */
  isLogged: boolean;
  /** The site and route that count the request (`observe/request-meters.ts`); absent or 0: none has seen it. */
  series?: number;
  /** Changes to every reply, in the order in which stages added them; `null` for nearly all requests. */
  filters: ReplyFilter[] | null;
  /** Gets the decisions about a request that is explained, and not answered; absent for all requests of visitors. */
  readonly inquiry?: Inquiry | undefined;
  /** The client asks for a WebSocket, and can get one; `null` or absent for nearly all requests. */
  readonly webSocket?: WebSocketOffer | null;
  /** Callbacks for the end of the exchange (`when-finished.ts`); `null` for nearly all requests. */
  finishing: (() => void)[] | null;

  /**
   * Passes the body to the sink as it arrives. Must be called in the turn of the event loop in which the head arrived,
   * at most once. The sink gets nothing more once the reply was written or the client left.
   */
  receiveBody(sink: BodySink): BodyFlow;

  /**
   * Holds the body until `receiveBody` is called, which may then be in a later turn. Must be called in the turn of the
   * event loop in which the head arrived, at most once. The caller closes `held` when the exchange has finished.
   */
  holdBody(held: HeldBodySink): void;

  /** Replaces the transfer limits of the listener for this exchange. */
  limitTransfers(limits: TransferLimits): void;

  /** Registers a callback for a client that leaves before its reply is complete. Replaces an earlier callback. */
  onAbort(callback: () => void): void;

  /**
   * Answers the request, through the filters. Cancels a source that is not read: for a settled client, or for a HEAD
   * request.
   */
  reply(reply: Reply): void;

  /** Replies with an error page, and closes the connection if its framing cannot be trusted. */
  refuse(status: number, options?: { close?: boolean; retryAfterSeconds?: number }): void;
}

import type { ExchangeId, WorkerId } from "../channel/messages.ts";
import type { LimitName } from "./limit-names.ts";
import type { Reply, ReplyFilter } from "./reply.ts";

export type { ExchangeId, WorkerId };

/** The facts about a request once its head is complete. */
export interface RequestHead {
  /** A token as it came (RFC 9110 section 9.1): case-sensitive. */
  method: string;
  /** The request target in origin form as it came, query included. */
  target: string;
  /** Scheme and authority in the serialization of the URL standard, e.g. `https://example.com:8443`. */
  origin: string;
  /** Field block (see `channel/messages.ts`) without the fields that concern this connection only. */
  fields: string;
  /** Announced size of the body in bytes; `null` when it comes chunked, 0 when there is none. */
  bodyBytes: number | null;
  /** IPv4 or IPv6 in canonical text form. */
  clientAddress: string;
}

/** The facts about a request whose head could not be trusted. */
export interface RefusedHead {
  /** 499 when the client left before it was told. */
  status: number;
  reason: string;
  /** As they came: anything. */
  method: string;
  target: string;
  scheme: "http" | "https";
  clientAddress: string;
  id: ExchangeId;
  /** `performance.now()` when the head was complete. */
  receivedMs: number;
  /** Of the response. */
  bodyBytes: number;
}

/** Receives a request body as it arrives. */
export interface BodySink {
  /** The bytes are valid during the call only: a sink copies the bytes that it keeps. */
  chunk(bytes: Uint8Array): void;
  end(): void;
}

/** Pauses a client that sends faster than its body is consumed. Bytes that are on their way still arrive. */
export interface BodyFlow {
  pause(): void;
  resume(): void;
}

/** A body that is read in pieces, as they become available. */
export interface BodySource {
  /**
   * Returns the next bytes, at most `maxBytes`; `null` when none are available now. They are valid until the next call
   * of `read` or `cancel`.
   */
  read(maxBytes: number): Uint8Array | null;
  /** `open`: more may come. `ended`: all has been read. `failed`: the rest will never come. */
  readonly state: "open" | "ended" | "failed";
  /** Bytes left, once the whole rest of the body is available; `null` or absent: not known. */
  readonly wholeBytes?: number | null;
  /** Status for a client that has received nothing when the body fails; absent: 500. */
  readonly failedAs?: number;
  /** Called when a read may succeed, and when the state changes. One listener. */
  onChange: (() => void) | null;
  /** Stops reading. */
  cancel(): void;
}

/** Limits for slow clients. 0 switches a limit off. */
export interface TransferLimits {
  /** Longest pause between two pieces of a request body. */
  bodyTimeoutMs: number;
  /** Least average rate of a request body. Counts after a grace. */
  minBodyRateBytesPerSecond: number;
  /** Longest time without progress while a client reads its response. */
  sendTimeoutMs: number;
}

/**
 * One request's client side, whatever the engine that holds the socket. It is settled once the whole reply was handed
 * over or the client has left. After that all calls do nothing.
 */
export interface Client {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  /** `performance.now()` when the head was complete. */
  readonly receivedMs: number;
  readonly settled: boolean;
  /** A part of the reply has been written: the status can no longer change. */
  readonly begun: boolean;
  /** The worker that has or had the exchange; `null`: none. For the access log. */
  workerId: WorkerId | null;
  /** The limit that refused the request or cut it off; `null`: none. For the access log. */
  limit: LimitName | null;
  /** Changes to every reply, in the order in which stages added them; `null` for nearly all requests. */
  filters: ReplyFilter[] | null;

  /**
   * Passes the body on as it arrives. Must be called in the turn of the event loop in which the head arrived, at most
   * once. The sink gets nothing once the client is settled.
   */
  receiveBody(sink: BodySink): BodyFlow;

  /** Replaces the transfer limits of the listener for this exchange. */
  limitTransfers(limits: TransferLimits): void;

  /** Registers a callback for a client that leaves before its reply is complete. Replaces an earlier callback. */
  onAbort(callback: () => void): void;

  /** Answers, through the filters. Cancels a source that nothing reads: of a settled client, or of a HEAD request. */
  reply(reply: Reply): void;

  /** Replies with an error page, and closes the connection if its framing cannot be trusted. */
  refuse(status: number, options?: { close?: boolean; retryAfterSeconds?: number }): void;
}

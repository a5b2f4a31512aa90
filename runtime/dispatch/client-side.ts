import type { ExchangeId, WorkerId } from "../channel/messages.ts";
import type { LimitName } from "../observe/counters.ts";

export type { ExchangeId, WorkerId };

/** What is known of a request once its head is complete. */
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

/** A response that is there as a whole. */
export interface CompleteResponse {
  /** 200 to 599. */
  status: number;
  /** `""`: the standard phrase. */
  statusText: string;
  /** Field block; fields that concern framing or the connection are left out when it is written. */
  fields: string;
  /** Lent for as long as the call takes that hands it over. */
  body: string | Uint8Array | null;
}

/** Takes a request body as it arrives. */
export interface BodySink {
  /** The bytes are valid during the call only: what the sink keeps, it copies. */
  chunk(bytes: Uint8Array): void;
  end(): void;
}

/** Holds a client back that sends faster than its body is taken. What is on its way still arrives. */
export interface BodyFlow {
  pause(): void;
  resume(): void;
}

/** A body that is read piece by piece, as its pieces come to be there. */
export interface BodySource {
  /** The next bytes, at most so many; `null` when none are there now. They are valid until the next call of `read` or `cancel`. */
  read(maxBytes: number): Uint8Array | null;
  /** `open`: more may come. `ended`: all has been read. `failed`: the rest will never come. */
  readonly state: "open" | "ended" | "failed";
  /** How many bytes are left, once all that will ever come is there; `null`, or left out: that is not known. */
  readonly wholeBytes?: number | null;
  /** What a client is to be told that has seen nothing of it when it fails; left out: 500. */
  readonly failedAs?: number;
  /** Called when it is worth to read again, or when the state has changed. One listener. */
  onChange: (() => void) | null;
  /** Nobody reads on. */
  cancel(): void;
}

/** The head of a response whose body is still to come. */
export interface ResponseHead {
  status: number;
  statusText: string;
  fields: string;
  /** The size of the body, if it is known; otherwise what `content-length` among the fields says, if anything. */
  lengthBytes: number | null;
}

/** How slow a client may be. 0 switches a limit off. */
export interface TransferLimits {
  /** Longest pause between two pieces of a request body. */
  bodyTimeoutMs: number;
  /** Least average rate of a request body, counted once its grace is over. */
  minBodyRateBytesPerSecond: number;
  /** Longest time for which a client takes nothing of its response. */
  sendTimeoutMs: number;
}

/**
 * The client's side of an exchange, as the rest of the primary sees it: it knows nothing of the engine that holds the
 * socket. A client side is settled once its response has been handed over completely or the client has left; from
 * then on every call does nothing.
 */
export interface ClientSide {
  readonly id: ExchangeId;
  readonly head: RequestHead;
  /** `performance.now()` when the head was complete. */
  readonly receivedMs: number;
  readonly settled: boolean;
  /** Some of its answer has been written: it can no longer be told anything else. */
  readonly begun: boolean;
  /** The worker that has it or had it; `null` for none. For the access log. */
  workerId: WorkerId | null;
  /** What has refused it, or cut it off; `null` for nothing. For the access log. */
  limit: LimitName | null;

  /**
   * Hands over the body as it arrives. Must be called before the turn in which the head arrived is over, at most once.
   * The sink hears nothing more once the client side is settled.
   */
  receiveBody(sink: BodySink): BodyFlow;

  /** From now on these count, and not those of its listener. */
  limitTransfers(limits: TransferLimits): void;

  /** Called at most once, when the client leaves before its answer is complete. Replaces an earlier callback. */
  onAbort(callback: () => void): void;

  respond(response: CompleteResponse): void;

  /** Answers with a body that is still to come; reads it as fast as the client takes it. */
  respondStream(head: ResponseHead, body: BodySource): void;

  /** Answers an error in the runtime's own words, and closes the connection if its framing cannot be trusted. */
  refuse(status: number, options?: { close?: boolean; retryAfterSeconds?: number }): void;
}

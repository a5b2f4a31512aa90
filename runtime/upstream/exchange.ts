import type { Duplex } from "node:stream";

/** Time limits of one exchange. Made once per route, and shared by its requests. 0 turns a limit off. */
export interface UpstreamTimeouts {
  /** From the start of a new connection until it can carry a request, with the TLS handshake. */
  connectMs: number;
  /** From the last byte of the request that left until the head of the final response is whole. */
  firstByteMs: number;
  /** Longest pause: between two reads of a response, and between two writes that the upstream takes. */
  idleMs: number;
}

/** A request for an upstream server. */
export interface UpstreamRequest {
  method: string;
  /** The request target in the form in which it is sent. */
  target: string;
  /**
   * Field block (see `channel/messages.ts`) without hop-by-hop fields, with `host`. The client adds the fields of the
   * framing and `connection`. Names and values must be valid: the client sends them as they are.
   */
  fields: string;
  /** `follows`: `write` and `end` of the exchange bring it. Bytes are lent for the call of `open`. */
  body: Uint8Array | "follows" | null;
  /** Size of a body that follows; `null`: unknown, the client sends it in chunks. Ignored for the other bodies. */
  bodyBytes: number | null;
  /** Value of the field `upgrade`, for a request that asks for another protocol; else `null`. */
  upgrade: string | null;
  /** `null`: those of the server. */
  timeouts: UpstreamTimeouts | null;
  /** True: it goes on a new connection, since a kept one was stale. Absent: it may use a kept one. */
  isFresh?: boolean;
}

/** The head of a final response, or of a 101. */
export interface UpstreamHead {
  /** 200 to 599, or 101. */
  status: number;
  /** Reason phrase as the upstream sent it, perhaps empty. */
  statusText: string;
  /** Field block, names in lower case, without hop-by-hop and framing fields. HEAD and 304 keep `content-length`. */
  fields: string;
  /** Size of the body that follows; `null`: unknown until it ends; 0: there is none, as for HEAD, 204 and 304. */
  bodyBytes: number | null;
}

/**
 * Receives the events of one exchange, in this order: any number of `onInformational`, then `onHead`, any number of
 * `onChunk`, and `onEnd`. `onUpgraded` takes the place of the last three. `onFailed` may come at any point before
 * `onEnd`. After `onEnd`, `onUpgraded`, `onFailed` or `abort` there are no more events. None comes during `open`.
 */
export interface ExchangeEvents {
  /** A status of 100 to 199, other than 101, with its field block. After a 100 the upstream wants the body. */
  onInformational(status: number, fields: string): void;
  onHead(head: UpstreamHead): void;
  /** The bytes are lent for the call: a receiver that keeps them copies them. A pause stops further chunks at once. */
  onChunk(bytes: Uint8Array): void;
  /** The response is complete. The upstream may have answered before it read the whole request: see `isRequestSent`. */
  onEnd(): void;
  /** The upstream changed the protocol. The receiver owns the socket. `first`: bytes that came with the head, copied. */
  onUpgraded(head: UpstreamHead, socket: Duplex, first: Uint8Array): void;
  /** The exchange takes more of the body, after `write` returned false. */
  onDrain(): void;
  onFailed(failure: UpstreamFailure): void;
}

/** Tells why an exchange failed, with the facts by which a caller decides about a retry. */
export interface UpstreamFailure {
  /**
   * `connect`, `tls`: no connection could be opened. `send`: the request has not left as a whole. `first-byte`: it has,
   * and no byte of the response came. `head`, `body`: the response had begun.
   */
  phase: "connect" | "tls" | "send" | "first-byte" | "head" | "body";
  /** Reason for the log, in plain English, with the code of the system where there is one. */
  reason: string;
  /** Code of the system or of TLS, such as `ECONNREFUSED`; `null`: there is none. */
  code: string | null;
  /** Some bytes of the request may have left: false only if none has. */
  sent: boolean;
  /** At least one byte of the response arrived. */
  begun: boolean;
  /** The connection had served another request before: the upstream may have closed it at that moment. */
  reused: boolean;
  /** A time limit ended the exchange. */
  timedOut: boolean;
}

/** One request at an upstream server, and its response. */
export interface UpstreamExchange {
  /** The whole request has been handed to the system. False when the upstream answered before it read the whole body. */
  readonly isRequestSent: boolean;
  /** Sends a part of a body that follows. The bytes are copied or sent before it returns. False: wait for `onDrain`. */
  write(bytes: Uint8Array): boolean;
  /** Ends a body that follows. */
  end(): void;
  /** Stops the chunks of the response at once, and soon the upstream. */
  pause(): void;
  /** Lets the chunks come again, from the next turn of the event loop. */
  resume(): void;
  /** Ends the exchange and its connection. No event comes afterwards. */
  abort(): void;
}

/** Numbers of one upstream server, for the status page. */
export interface UpstreamStatus {
  name: string;
  /** Requests that are neither answered nor failed. */
  inFlight: number;
  /** Connections that carry a request, with those that are still opening. Tunnels are not among them. */
  busyConnections: number;
  /** Connections that wait for a request. */
  idleConnections: number;
  /** Connections that an upgrade turned into tunnels, and that are still open. */
  tunnels: number;
  /** Since the start: connections that were opened, requests that were sent, and those of them on a kept connection. */
  opened: number;
  requests: number;
  reused: number;
}

/** One upstream server and the connections to it. */
export interface UpstreamServer {
  /** The address as config names it, for logs and the status page. */
  readonly name: string;
  /** Requests that are neither answered nor failed, without tunnels. */
  readonly inFlight: number;
  /** Begins a request, on an idle connection if there is one. It does not wait for one: the caller bounds `inFlight`. */
  open(request: UpstreamRequest, events: ExchangeEvents): UpstreamExchange;
  status(): UpstreamStatus;
  /** Closes idle connections, waits for requests and tunnels in flight, and destroys those that last longer. */
  close(graceMs: number): Promise<void>;
  /** Fails all requests and closes all connections at once. */
  destroy(): void;
}

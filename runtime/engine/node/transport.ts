import type { OutgoingHttpHeaders } from "node:http2";
import type { CheckedFields } from "../../http/response-fields.ts";
import type { UpgradedStream } from "./node-web-socket.ts";

/** The head of a response. */
export interface ResponseHead {
  status: number;
  /** Reason phrase; `""`: the standard one. HTTP/2 has none. */
  statusText: string;
  fields: PreparedHead;
  /** Length to announce; `null`: unknown, or there is none to announce. */
  lengthBytes: number | null;
  /** False: the response has no body, in spite of its length (HEAD, 204, 304). */
  hasBody: boolean;
}

/** Checked fields in the form that a protocol writes. */
export interface PreparedHead extends Pick<CheckedFields, "contentLength"> {
  /** HTTP/1: lines, each with its end; one character is one byte. */
  readonly lines: string;
  /** HTTP/2: names in lower case. Made when first asked for. */
  readonly fields: CheckedFields["fields"];
  /** HTTP/2: the same fields in the form of `node:http2`; absent: not needed so far. */
  http2?: OutgoingHttpHeaders;
}

/** Fields of the answer to a request for a WebSocket. */
export interface UpgradeAnswer {
  /** Key of the request; `null` with HTTP/2, which has none. */
  readonly key: string | null;
  /** Value of the field `Sec-WebSocket-Protocol`; `null`: it is left out. */
  readonly protocol: string | null;
  /** Value of the field `Sec-WebSocket-Extensions`; `null`: it is left out. */
  readonly extensions: string | null;
}

/**
 * The way of one exchange to its client, over one protocol. Made together with a `NodeClient`, whose methods `on...` it
 * calls for events of the request.
 *
 * All bytes are lent: valid during the call only.
 */
export interface Transport {
  /** The connection, if exchanges share it at a time; absent: the exchange has it alone. */
  readonly connection?: object;
  /**
   * True while written bytes wait for the client. The client of the exchange then writes no more until `onRoom`, which
   * the transport calls when all bytes have left.
   */
  readonly isBlocked: boolean;
  /** True while the client waits for 100 (Continue) before it sends the body. */
  readonly awaitsContinue: boolean;
  /** Writes a whole response. `cutsOff`: ends the connection then, although the client may still send. */
  writeWhole(
    head: ResponseHead,
    options: { body: string | Uint8Array | null; cutsOff: boolean },
  ): void;
  /** Begins a response whose body follows. The head may leave with the first part of the body. */
  writeHead(head: ResponseHead): void;
  /** Writes a part of the body, at least one byte. */
  write(bytes: Uint8Array): void;
  /** Ends the body. If the length was announced, all of it was written. */
  end(): void;
  /** Breaks off the exchange, so that the client cannot take an incomplete response for a whole one. */
  destroy(): void;
  /** The request body is wanted: a client that waits for 100 (Continue) may send it. */
  wantBody(): void;
  /** Stops and resumes `onBody`. After `dropBody` they have no effect. */
  pauseBody(): void;
  resumeBody(): void;
  /** The rest of the request body is not needed: reads and drops it. */
  dropBody(): void;
  /**
   * Accepts a WebSocket. The stream is the caller's then, and brings the bytes that the client has sent before. They come in
   * a later turn of the event loop.
   *
   * @param head With status 101. HTTP/2 has 200 in its place (RFC 8441 section 5).
   * @returns `null`: the client has left.
   */
  upgrade(head: ResponseHead, answer: UpgradeAnswer): UpgradedStream | null;
}

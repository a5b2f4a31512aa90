import { COMMENT } from "../lib/server-sent-event.ts";
import { STATUS_CODES } from "node:http";
import type { BodySource, Client } from "./client.ts";
import { findField } from "./find-field.ts";

/** An answer, before an engine writes it. A plain value: filters return a new one and never change it in place. */
export interface Reply {
  /** 200 to 599. */
  status: number;
  /** Reason phrase; `""`: the standard one. */
  statusText: string;
  /** Field block (see `channel/messages.ts`). The engine leaves out fields that concern framing or the connection. */
  fields: string;
  /** Bytes are lent, and valid during the call only. A source is read as fast as the client takes its bytes. */
  body: string | Uint8Array | BodySource | null;
  /**
   * Size of the source, or for HEAD the size that the body of a GET would have. `null`: the size is that of
   * `content-length` in the fields, or unknown.
   */
  lengthBytes: number | null;
}

/**
 * Changes a reply before it is written: adds fields, wraps the body. Every reply by a stage or a
 * responder passes through the filters, also a refusal. A filter never waits.
 */
export type ReplyFilter = (reply: Reply, client: Client) => Reply;

/** Returns the reply for a refused request. Its text body names the status. */
export function toRefusal(status: number, retryAfterSeconds?: number): Reply {
  const fields = "content-type\ntext/plain;charset=UTF-8";
  return {
    status,
    statusText: "",
    fields:
      retryAfterSeconds === undefined ? fields : `${fields}\nretry-after\n${retryAfterSeconds}`,
    body: `${STATUS_CODES[status] ?? status}\n`,
    lengthBytes: null,
  };
}

/** Tells whether a body is a source, which is read piece by piece. */
export function isSource(body: Reply["body"]): body is BodySource {
  return typeof body === "object" && body !== null && !(body instanceof Uint8Array);
}

/**
 * Largest body that is written at once. A larger one is written as the client takes it: an engine would copy the unsent
 * part.
 */
const WHOLE_BYTES = 16_000;

/**
 * Tells whether a body is small enough to be written at once. Counts up to three bytes for each character of a string.
 */
export function isSmall(body: string | Uint8Array): boolean {
  return body.length <= (typeof body === "string" ? WHOLE_BYTES / 3 : WHOLE_BYTES);
}

/** Tells whether a response has a body (RFC 9110 section 6.4.1). */
export function hasBody(method: string, status: number): boolean {
  return method !== "HEAD" && status !== 204 && status !== 304;
}

/** A comment line. An `EventSource` opens when it arrives, and otherwise ignores it (HTML standard section 9.2.6). */
export const EVENT_STREAM_OPENING: Buffer = Buffer.from(COMMENT);

/**
 * Tells whether a comment line may be sent into the body: it is an event stream without content coding. Plain bytes
 * before coded ones would break the client's decoder.
 */
export function takesComments(fields: string): boolean {
  const isEventStream = findField(fields, "content-type")?.startsWith("text/event-stream") === true;
  return isEventStream && findField(fields, "content-encoding") === undefined;
}

/** Adds a filter. It runs after the filters that were added before. */
export function addFilter(client: Client, filter: ReplyFilter): void {
  client.filters ??= [];
  client.filters.push(filter);
}

/** Passes a reply through the client's filters. An error of a filter is thrown. */
export function applyFilters(reply: Reply, client: Client): Reply {
  let filtered = reply;
  for (const filter of client.filters ?? []) filtered = filter(filtered, client);
  return filtered;
}

/**
 * Passes a reply through the client's filters, on its way to the visitor. A filter that throws is a bug in Edgicorn: it costs
 * this reply, which becomes a 500 without filters, and does not count against the worker.
 */
export function filterReply(
  reply: Reply,
  client: Client,
  log: { onError(error: unknown): void },
): Reply {
  try {
    return applyFilters(reply, client);
  } catch (error) {
    log.onError(error);
    if (isSource(reply.body)) reply.body.cancel();
    client.filters = null;
    return toRefusal(500);
  }
}

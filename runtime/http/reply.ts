import { STATUS_CODES } from "node:http";
import type { BodySource, Client } from "./client.ts";

/**
 * An answer, before an engine writes it. A plain value: filters replace it, and no filter changes it in place.
 */
export interface Reply {
  /** 200 to 599. */
  status: number;
  /** `""`: the standard phrase. */
  statusText: string;
  /** Field block (see `channel/messages.ts`). The engine leaves out fields of framing and of the connection. */
  fields: string;
  /** Bytes are lent: valid during the call only. A source is read as fast as the client takes it. */
  body: string | Uint8Array | BodySource | null;
  /**
   * Size of the body of a source, or the size that the answer to a GET would have where the body is left out (HEAD).
   * `null`: not known beyond the `content-length` in the fields.
   */
  lengthBytes: number | null;
}

/**
 * Changes a reply on its way out: adds fields, wraps the body. Every reply to the client passes through it, also a
 * refusal. Never waits.
 */
export type ReplyFilter = (reply: Reply, client: Client) => Reply;

/** Returns a reply with a text body that names the status, for a request that is refused. */
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

/** Tells whether a body is read in pieces. */
export function isSource(body: Reply["body"]): body is BodySource {
  return typeof body === "object" && body !== null && !(body instanceof Uint8Array);
}

/** A larger body is sent as the client takes it. An engine that writes all of it at once would copy the unsent part. */
const WHOLE_BYTES = 16_000;

/** Tells whether a body can be written at once. */
export function isSmall(body: string | Uint8Array): boolean {
  return body.length <= (typeof body === "string" ? WHOLE_BYTES / 3 : WHOLE_BYTES);
}

/** Adds a filter, which gets the reply after the filters that were added before. */
export function addFilter(client: Client, filter: ReplyFilter): void {
  client.filters ??= [];
  client.filters.push(filter);
}

/** Passes a reply through the client's filters. */
export function applyFilters(reply: Reply, client: Client): Reply {
  let filtered = reply;
  for (const filter of client.filters ?? []) filtered = filter(filtered, client);
  return filtered;
}

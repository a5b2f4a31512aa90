import { RuntimeError } from "../lib/errors.ts";
import { isDecodedBody } from "./decoded-body.ts";
import { formatFields } from "./fields.ts";
import type { FixedBody } from "./fixed-body.ts";
import {
  type ForeignResponse,
  isForeignResponse,
  openForeignBody,
  readForeignFields,
} from "./foreign-response.ts";
import { NativeHeaders, NativeResponse } from "./native.ts";
import { bodyOf, isDisturbed, takeSource } from "./response-body.ts";
import type { ServerSocket } from "./server-socket.ts";
import { SWITCHING, upgradeOf } from "./upgrade-response.ts";

/**
 * The parts of a response that are sent. `fields` is a field block; a stream in `body` is neither locked nor read from.
 */
export interface ResponseParts {
  status: number;
  statusText: string;
  fields: string;
  body: FixedBody | ReadableStream<Uint8Array> | null;
  /** The WebSocket that the response accepts; absent for all others. */
  webSocket?: ServerSocket;
}

/**
 * Takes the parts of any response through its public members, so overridden ones count.
 *
 * Fields come first, and are read once: some classes (h3's) turn themselves into a response of Node's own when another
 * member is read, which may add a `content-type` that the app has not set.
 *
 * @returns `null` if `value` is no response.
 * @throws `ERR_HANDLER_BAD_RESPONSE`; see `readResponse()`.
 */
export function readAnyResponse(value: unknown): ResponseParts | null {
  if (!(value instanceof NativeResponse)) {
    return isForeignResponse(value) ? readForeignResponse(value) : null;
  }
  const { status, statusText } = value;
  const headers: unknown = value.headers; // overridden, it may be of any kind
  const own = headers instanceof NativeHeaders ? headers : new NativeHeaders(headers as Headers);
  let fields = formatFields(own);
  if (status === SWITCHING) {
    const webSocket = upgradeOf(value);
    if (webSocket !== null) return { status, statusText: "", fields, body: null, webSocket };
  }
  checkStatus(value);
  if (value.bodyUsed) throw usedResponse();
  const coding = own.get("content-encoding");
  if (coding !== null && isDecodedBody(value, coding)) {
    const kept = new NativeHeaders(own);
    kept.delete("content-encoding");
    kept.delete("content-length");
    fields = formatFields(kept);
  }
  return { status, statusText: statusText ?? "", fields, body: takeBody(value.body) };
}

function readForeignResponse(response: ForeignResponse): ResponseParts {
  const { status, statusText, bodyUsed } = response;
  const fields = formatFields(new NativeHeaders(readForeignFields(response)));
  checkStatus(response);
  if (bodyUsed === true) throw usedResponse();
  const text = typeof statusText === "string" ? statusText : "";
  return { status, statusText: text, fields, body: openForeignBody(response.body) };
}

function checkStatus({ status, type }: { status: number; type?: unknown }): void {
  if (type === "error") {
    throw badResponse("it is a network error, as Response.error() makes it", "one with a status");
  }
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw badResponse(`its status is ${String(status)}`, "one from 200 to 599");
  }
}

/** For a body that was read or is being read. */
export function usedResponse(): RuntimeError {
  return badResponse("its body was read already", "an unread one");
}

function takeBody(body: unknown): ResponseParts["body"] {
  if (!(body instanceof ReadableStream)) return openForeignBody(body);
  if (body.locked || isDisturbed(body)) throw usedResponse();
  const known = bodyOf(body);
  return known === undefined ? (body as ReadableStream<Uint8Array>) : takeSource(known); // other chunks fail when read
}

function badResponse(found: string, expected: string): RuntimeError {
  return new RuntimeError(
    "ERR_HANDLER_BAD_RESPONSE",
    `Cannot send the response: ${found}, expected ${expected}`,
  );
}

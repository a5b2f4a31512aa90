import { RuntimeError } from "../errors.ts";
import { formatFields } from "./fields.ts";
import type { FixedBody } from "./fixed-body.ts";
import { NativeHeaders, NativeResponse } from "./native.ts";
import { bodyOf, isDisturbed, takeSource } from "./response-body.ts";

/** What is sent of a response. `fields` is a field block; a stream in `body` is neither locked nor read from. */
export interface ResponseParts {
  status: number;
  statusText: string;
  fields: string;
  body: FixedBody | ReadableStream<Uint8Array> | null;
}

/**
 * Takes the parts of any response through its public members, so overridden ones count.
 *
 * @returns `null` if `value` is no response.
 * @throws `ERR_HANDLER_BAD_RESPONSE`; see `readResponse()`.
 */
export function readAnyResponse(value: unknown): ResponseParts | null {
  if (!isResponse(value)) return null;
  const { status, statusText, type } = value;
  if (type === "error") {
    throw badResponse("it is a network error, as Response.error() makes it", "one with a status");
  }
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw badResponse(`its status is ${String(status)}`, "one from 200 to 599");
  }
  if (value.bodyUsed) throw usedResponse();
  const headers: unknown = value.headers; // another implementation's may be its own class
  const fields = formatFields(
    headers instanceof NativeHeaders ? headers : new NativeHeaders(headers as Headers),
  );
  return { status, statusText: statusText ?? "", fields, body: takeBody(value.body) };
}

/** For a body that was read or is being read. */
export function usedResponse(): RuntimeError {
  return badResponse("its body was read already", "one that nobody has read");
}

function isResponse(value: unknown): value is Response {
  if (value instanceof NativeResponse) return true;
  // Ponyfills (GraphQL Yoga, node-fetch) bring their own class. What is checked is what `readAnyResponse` relies on.
  return (
    Object.prototype.toString.call(value) === "[object Response]" &&
    typeof (value as Response).status === "number" &&
    typeof (value as Response).headers === "object" &&
    typeof (value as Response).arrayBuffer === "function"
  );
}

function takeBody(body: unknown): ResponseParts["body"] {
  if (body === null || body === undefined) return null;
  if (body instanceof ReadableStream) {
    if (body.locked || isDisturbed(body)) throw usedResponse();
    const known = bodyOf(body);
    return known === undefined ? (body as ReadableStream<Uint8Array>) : takeSource(known); // other chunks fail when read
  }
  // A stream of another implementation, such as Node's `Readable` in node-fetch.
  return ReadableStream.from(body as AsyncIterable<Uint8Array>);
}

function badResponse(found: string, expected: string): RuntimeError {
  return new RuntimeError(
    "ERR_HANDLER_BAD_RESPONSE",
    `Cannot send the response: ${found}, expected ${expected}`,
  );
}

import { METHODS } from "node:http";
import type { Reading, ReadRequest } from "./readings.ts";

/** Fields that concern the connection, and those that describe a client: the engine leaves them out. */
const LEFT_OUT =
  /^(?:connection|expect|keep-alive|proxy-connection|te|transfer-encoding|forwarded|x-forwarded-.*|.*_.*)$/;

const ABSOLUTE = /^http:\/\/([^/?#]*)(.*)$/i;

/**
 * The requests that the engine serves and llhttp refuses.
 *
 * - Methods: every token is a method (RFC 9110 section 9.1). llhttp knows a list.
 * - Targets with bytes from 0x80 on: browsers send some, and other servers take them. They reach handlers as they are.
 * - HTTP/1.2 to 1.9: a recipient treats a higher minor version as its own (RFC 9110 section 2.5).
 * - Blanks around ";" and "=" of chunk extensions: the grammar allows them (RFC 9112 section 7.1.1). The size before them is
 *   read in one way only, and what llhttp refuses it cannot read in another way.
 * - `Content-Length` and `Transfer-Encoding` in trailers: trailers are dropped, and frame nothing (RFC 9110 section 6.5.1).
 */
const ACCEPTED: readonly {
  readonly codes: RegExp;
  readonly isIt: (request: ReadRequest, text: string) => boolean;
}[] = [
  {
    // It reads some other methods for protocols that resemble HTTP.
    codes: /^HPE_INVALID_(?:METHOD|CONSTANT|VERSION)$/,
    isIt: ({ method }) => !METHODS.includes(method),
  },
  { codes: /^HPE_INVALID_URL$/, isIt: ({ target }) => /[\x80-\xff]/.test(target) },
  { codes: /^HPE_INVALID_VERSION$/, isIt: (_, text) => / HTTP\/1\.[2-9]\r\n/.test(text) },
  {
    codes: /^HPE_(?:INVALID_CHUNK_SIZE|STRICT)$/,
    isIt: (_, text) => /\n[\da-f]+(?:[\t ]+;|;.*[\t ]).*\r\n/i.test(text),
  },
  {
    codes: /^HPE_INVALID_(?:CONTENT_LENGTH|TRANSFER_ENCODING)$/,
    isIt: (_, text) =>
      /\n0+(?:;.*)?\r\n(?:.+\r\n)*(?:content-length|transfer-encoding):/i.test(text),
  },
];

/**
 * Compares how the Node engine and llhttp read the same bytes.
 *
 * @returns `null`: both read the same requests, or one of them refused the bytes behind the last common request, and had a
 *   reason. Else the difference.
 */
export function findDifference(own: Reading, reference: Reading, text: string): string | null {
  for (const [at, theirs] of reference.requests.entries()) {
    const ours = own.requests[at];
    if (ours === undefined) {
      const found = `${own.requests.length} requests, llhttp: ${reference.requests.length}`;
      // A request that the engine answers itself ends the connection if its body has not come whole.
      const mayEnd = own.refusal !== null || own.requests.at(-1)?.body === null;
      return mayEnd ? null : found;
    }
    const read = JSON.stringify(toPlain(ours, theirs));
    const expected = JSON.stringify(toPlain(toOriginForm(theirs), theirs));
    if (ours.body !== null && read !== expected)
      return `request ${at}: ${read}, llhttp: ${expected}`;
  }
  const more = own.requests[reference.requests.length];
  const { refusal } = reference;
  // The engine answers some requests itself, before their body.
  if (more === undefined || more.body === null) return null;
  if (refusal !== null && isAccepted(more, { refusal, text })) return null;
  return `${JSON.stringify(more)}, llhttp: ${refusal ?? "nothing"}`;
}

function isAccepted(
  request: ReadRequest,
  { refusal, text }: { refusal: string; text: string },
): boolean {
  return ACCEPTED.some(({ codes, isIt }) => codes.test(refusal) && isIt(request, text));
}

/**
 * Leaves out fields that the engine drops, and the host that it adds to a request of HTTP/1.0.
 *
 * @param sent The request with all its fields.
 */
function toPlain(request: ReadRequest, sent: ReadRequest): ReadRequest {
  const options = sent.fields
    .filter(([name]) => name === "connection")
    .flatMap(([, value]) => value.toLowerCase().split(","))
    .map((option) => option.trim());
  const namesHost = ABSOLUTE.test(sent.target) || sent.fields.some(([name]) => name === "host");
  const dropped = namesHost ? options : [...options, "host"];
  const fields = request.fields.filter(([name]) => !LEFT_OUT.test(name) && !dropped.includes(name));
  return { ...request, fields };
}

/** Reads a target of absolute form as RFC 9112 section 3.2.2 asks for. */
function toOriginForm(request: ReadRequest): ReadRequest {
  const [whole, host = "", rest = ""] = ABSOLUTE.exec(request.target) ?? [];
  if (whole === undefined) return request;
  const others = request.fields.filter(([name]) => name !== "host");
  const isSame = request.fields.some(([name, value]) => name === "host" && value === host);
  const fields = isSame ? request.fields : [["host", host] as const, ...others];
  const isServerWide = rest === "" && request.method === "OPTIONS";
  const target = isServerWide ? "*" : rest.startsWith("/") ? rest : `/${rest}`;
  return { ...request, target, fields };
}

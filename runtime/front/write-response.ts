import { STATUS_CODES } from "node:http";
import type { PreparedFields } from "./response-fields.ts";
import type { HttpResponse } from "./uws.ts";

/** Above this a body is sent as the client takes it; `end` would copy and keep what is not sent yet. */
const WHOLE_BYTES = 16_000;

const STATUS_TEXT = /^[\t\x20-\x7e]*$/;

export interface ResponseToWrite {
  /** Of the request: an answer to HEAD has no body. */
  method: string;
  status: number;
  /** `""`, or what cannot be written: the standard phrase. */
  statusText: string;
  fields: PreparedFields;
  body: string | Uint8Array | null;
  ending: Ending;
}

/**
 * What becomes of the connection after the response.
 *
 * `announce` says `Connection: close` and leaves it to the client and the idle timer: to close while the client still
 * sends its body resets the connection, and the response is lost with it (uws-notes section 3).
 */
export type Ending = "keep" | "announce" | "close";

/** Whether a body can be written at once. */
export function isSmall(body: string | Uint8Array): boolean {
  return body.length <= (typeof body === "string" ? WHOLE_BYTES / 3 : WHOLE_BYTES);
}

/** Writes a response at once: one without a body, or with one that is small. */
export function writeResponse(res: HttpResponse, response: ResponseToWrite): void {
  const { method, status, body } = response;
  if (status === 204 || status === 304 || method === "HEAD") {
    res.cork(() => {
      writeHead(res, response);
      if (method === "HEAD" && status !== 204) writeLength(res, response);
      writeEnding(res, response.ending);
      // With a number it would never mark the response as done (uws-notes section 3).
      res.endWithoutBody();
    });
    return;
  }
  res.cork(() => {
    writeHead(res, response);
    // `end` writes the field itself when it closes.
    if (response.ending === "announce") writeEnding(res, response.ending);
    res.end(body ?? undefined, response.ending === "close");
  });
}

/** The size of the body that `writeResponse` sends. Of text it has to be counted. */
export function bodyBytesOf({
  method,
  status,
  body,
}: Pick<ResponseToWrite, "method" | "status" | "body">): number {
  if (body === null || status === 204 || status === 304 || method === "HEAD") return 0;
  return sizeOf(body);
}

/** Status line and fields. Call it inside `cork`. */
export function writeHead(
  res: HttpResponse,
  { status, statusText, fields }: Pick<ResponseToWrite, "status" | "statusText" | "fields">,
): void {
  if (status !== 200 || statusText !== "") res.writeStatus(statusLine(status, statusText));
  if (fields.name.length > 0) res.writeHeader(fields.name, fields.value);
}

/** Says that the connection ends, for whatever does not say so itself. Call it inside `cork`. */
export function writeEnding(res: HttpResponse, ending: Ending): void {
  if (ending !== "keep") res.writeHeader("connection", "close");
}

function statusLine(status: number, statusText: string): string {
  const text =
    statusText !== "" && STATUS_TEXT.test(statusText) ? statusText : (STATUS_CODES[status] ?? "");
  return `${status} ${text}`;
}

/** What the size of the body would have been for GET, where it is known (RFC 9110 section 9.3.2). */
function writeLength(res: HttpResponse, { fields, body }: ResponseToWrite): void {
  const length = body === null ? fields.contentLength : String(sizeOf(body));
  if (length !== null) res.writeHeader("content-length", length);
}

function sizeOf(body: string | Uint8Array): number {
  return typeof body === "string" ? Buffer.byteLength(body) : body.length;
}

import { STATUS_CODES } from "node:http";
import type { FieldLines, PreparedFields } from "../../http/response-fields.ts";
import type { CorkAnchor } from "./cork-anchor.ts";
import type { HttpResponse, UpgradeContext } from "./uws.ts";

const STATUS_TEXT = /^[\t\x20-\x7e]*$/;

export interface ResponseToWrite {
  /** Method of the request. An answer to HEAD has no body. */
  method: string;
  status: number;
  /** Reason phrase. For `""`, and for a text that cannot be written, the standard phrase is used. */
  statusText: string;
  fields: PreparedFields;
  body: string | Uint8Array | null;
  /** Size of the body that the response to a HEAD request leaves out; `null`: as `fields` say. */
  lengthBytes: number | null;
  ending: Ending;
}

/**
 * The treatment of the connection after the response.
 *
 * `keep` leaves it open. `announce` sends `Connection: close` and does not close. The library closes if the client
 * asked for it; otherwise the client or the idle timeout does. Closing while the client still sends its body would
 * reset the connection, and the response would be lost (docs/uwebsockets.md section 4). `close` sends the field, and no
 * further request of the connection is run.
 */
export type Ending = "keep" | "announce" | "close";

/**
 * Writes a response without a body, or with a small one, at once.
 *
 * @returns True if the response is complete but the library waits for more of it. The caller must then close the
 *   connection.
 */
export function writeResponse(res: HttpResponse, response: ResponseToWrite): boolean {
  const { method, status, body, ending } = response;
  const isBodiless = status === 204 || status === 304 || method === "HEAD";
  if (ending === "close" && (isBodiless || body === null || body.length === 0)) {
    writeLastHead(res, response);
    return true;
  }
  if (isBodiless) {
    res.cork(() => {
      writeHead(res, response);
      if (method === "HEAD" && status !== 204) writeLength(res, response);
      writeEnding(res, ending);
      // With a number as argument it would never mark the response as done (docs/uwebsockets.md section 4).
      res.endWithoutBody();
    });
    return false;
  }
  res.cork(() => {
    writeHead(res, response);
    // With `true`, `end` writes `Connection: close` itself.
    if (ending === "announce") writeEnding(res, ending);
    res.end(body ?? undefined, ending === "close");
  });
  return false;
}

/**
 * Writes a head without a body as one status line. The library's own method either leaves the connection open or sends
 * a wrong length. To the library this response never ends, so it runs no further request of the connection.
 */
function writeLastHead(res: HttpResponse, response: ResponseToWrite): void {
  const { method, status, statusText } = response;
  const { name, value } = fieldsOf(response);
  const lines: Buffer[] = [Buffer.from(`${statusLine(status, statusText)}\r\n`, "latin1")];
  if (name.length > 0) lines.push(name, COLON, value, LINE_END);
  if (status !== 204 && status !== 304) {
    const isHead = method === "HEAD";
    const length = isHead ? headLength(response) : "0";
    if (length !== null) lines.push(Buffer.from(`Content-Length: ${length}\r\n`));
  }
  lines.push(Buffer.from(`Date: ${new Date().toUTCString()}\r\nConnection: close\r\n`));
  res.cork(() => res.writeStatus(Buffer.concat(lines)));
}

const COLON = Buffer.from(": ");
const LINE_END = Buffer.from("\r\n");

/**
 * Answers 101. The library calls `open` of the context before this returns, and the response must not be used any more.
 *
 * The status line comes before the fields: the first field would make it 200.
 *
 * @param answer.extensions An offer of extensions that the library answers; `""`: none.
 * @param answer.anchor Runs the upgrade itself, because the response's own `cork` is unsafe for it. While the anchor is not
 *   open, the library prints a warning.
 */
export function acceptWebSocket(
  res: HttpResponse,
  answer: {
    fields: FieldLines;
    protocol: string | null;
    key: string;
    data: unknown;
    extensions: string;
    upgrade: UpgradeContext;
    anchor: Pick<CorkAnchor, "run">;
  },
): void {
  const { fields, protocol, key, data, extensions, upgrade, anchor } = answer;
  res.cork(() => {
    res.writeStatus("101 Switching Protocols");
    if (fields.name.length > 0) res.writeHeader(fields.name, fields.value);
  });
  const accept = (): void => res.upgrade(data, key, protocol ?? "", extensions, upgrade);
  if (!anchor.run(accept)) accept();
}

/** Returns the size of the body that `writeResponse` sends. Strings have to be measured. */
export function bodyBytesOf({
  method,
  status,
  body,
}: Pick<ResponseToWrite, "method" | "status" | "body">): number {
  if (body === null || status === 204 || status === 304 || method === "HEAD") return 0;
  return sizeOf(body);
}

/** Writes the status line and the fields. Must be called inside `cork`. */
export function writeHead(
  res: HttpResponse,
  response: Pick<ResponseToWrite, "status" | "statusText" | "fields" | "ending">,
): void {
  const { status, statusText } = response;
  if (status !== 200 || statusText !== "") res.writeStatus(statusLine(status, statusText));
  const { name, value } = fieldsOf(response);
  if (name.length > 0) res.writeHeader(name, value);
}

function fieldsOf({ fields, ending }: Pick<ResponseToWrite, "fields" | "ending">): FieldLines {
  return ending === "keep" ? fields.kept : fields.last;
}

/** Writes `Connection: close` unless the connection stays open. Must be called inside `cork`. */
export function writeEnding(res: HttpResponse, ending: Ending): void {
  if (ending !== "keep") res.writeHeader("Connection", "close");
}

function statusLine(status: number, statusText: string): string {
  const text =
    statusText !== "" && STATUS_TEXT.test(statusText) ? statusText : (STATUS_CODES[status] ?? "");
  return `${status} ${text}`;
}

/** Writes the length that the body would have for GET, if it is known (RFC 9110 section 9.3.2). */
function writeLength(res: HttpResponse, response: ResponseToWrite): void {
  const length = headLength(response);
  if (length !== null) res.writeHeader("content-length", length);
}

function headLength({ fields, body, lengthBytes }: ResponseToWrite): string | null {
  if (body !== null) return String(sizeOf(body));
  return lengthBytes === null ? fields.contentLength : String(lengthBytes);
}

function sizeOf(body: string | Uint8Array): number {
  return typeof body === "string" ? Buffer.byteLength(body) : body.length;
}

import { STATUS_CODES } from "node:http";
import type { ResponseHead } from "./transport.ts";

const STATUS_TEXT = /^[\t\x20-\x7e]*$/;

/** How the recipient finds the end of a body: a length, chunks, or the end of the connection (HTTP/1.0 only). */
export type Framing = "length" | "chunks" | "close";

/** Decides how the end of a response is marked (RFC 9112 section 6). */
export function pickFraming({ lengthBytes, hasBody }: ResponseHead, minor: 0 | 1): Framing {
  if (lengthBytes !== null || !hasBody) return "length";
  return minor === 1 ? "chunks" : "close";
}

/**
 * Returns a response head of HTTP/1.1, with its empty line. One character is one byte.
 *
 * @param options.connection Lines about the connection, each with its end.
 * @param options.date Value of `Date`.
 */
export function formatHead(
  { status, statusText, fields, lengthBytes }: ResponseHead,
  { framing, connection, date }: { framing: Framing; connection: string; date: string },
): string {
  const length =
    framing === "chunks"
      ? "Transfer-Encoding: chunked\r\n"
      : lengthBytes === null
        ? ""
        : `Content-Length: ${lengthBytes}\r\n`;
  return `HTTP/1.1 ${statusLine(status, statusText)}\r\n${fields.lines}${length}Date: ${date}\r\n${connection}\r\n`;
}

function statusLine(status: number, statusText: string): string {
  if (status === 200 && statusText === "") return "200 OK";
  const text =
    statusText !== "" && STATUS_TEXT.test(statusText) ? statusText : (STATUS_CODES[status] ?? "");
  return `${status} ${text}`;
}

/** Returns a head and a body as one buffer. */
export function joinHead(head: string, body: string | Uint8Array | null): Buffer {
  const headBytes = head.length;
  const bodyBytes =
    body === null ? 0 : typeof body === "string" ? Buffer.byteLength(body) : body.length;
  const bytes = Buffer.allocUnsafe(headBytes + bodyBytes);
  bytes.write(head, "latin1");
  if (typeof body === "string") bytes.write(body, headBytes);
  else if (body !== null) bytes.set(body, headBytes);
  return bytes;
}

const CHUNK_END = "\r\n";
const LAST_CHUNK = "0\r\n\r\n";

/** Returns a part of a body in its framing, behind a head, which may be empty. The bytes are copied. */
export function framePart(head: string, bytes: Uint8Array, framing: Framing): Buffer {
  if (framing !== "chunks") return joinHead(head, bytes);
  const before = `${head}${bytes.length.toString(16)}\r\n`;
  const framed = Buffer.allocUnsafe(before.length + bytes.length + CHUNK_END.length);
  framed.write(before, "latin1");
  framed.set(bytes, before.length);
  framed.write(CHUNK_END, before.length + bytes.length);
  return framed;
}

/** Returns the end of a body, behind a head, which may be empty. */
export function frameEnd(head: string, framing: Framing): string {
  return framing === "chunks" ? `${head}${LAST_CHUNK}` : head;
}

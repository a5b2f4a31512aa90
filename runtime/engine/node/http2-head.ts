import type { RequestHead } from "../../http/client.ts";
import type { HeadFields, HeadRefusal } from "../head-fields.ts";

/** Bytes of a request line besides method and target, which HTTP/2 does not have: the limits hold for both protocols. */
const REST_OF_LINE_BYTES = 12;

const DIGITS = /^\d{1,15}$/;

/** Fields that concern one connection of HTTP/1. A request of HTTP/2 that has one is malformed (RFC 9113 section 8.2.2). */
const HTTP1_ONLY: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
  "http2-settings",
]);

/** Method and target as the client sent them, valid or not. */
export interface Http2RequestLine {
  method: string;
  target: string;
  /** The request asks for a WebSocket (RFC 8441). To the rest of the server it is a GET with `Upgrade`. */
  isUpgrade?: boolean;
}

/**
 * Reads a request head of HTTP/2 (RFC 9113 section 8.3).
 *
 * nghttp2 has checked the form of names and values before, and dropped invalid fields. It checks paths only for the
 * schemes `http` and `https`.
 *
 * @param options.list Names and values in turn, as they were sent.
 * @param options.isComplete No body follows.
 * @param options.peer Address of the peer.
 */
export function readHttp2Head(
  fields: HeadFields,
  { list, isComplete, peer }: { list: readonly string[]; isComplete: boolean; peer: string },
): { line: Http2RequestLine; head: RequestHead | HeadRefusal } {
  let method = "";
  let target = "";
  let scheme = "";
  let authority: string | null = null;
  let protocol: string | null = null;
  let at = 0;
  // nghttp2 resets streams with an unknown pseudo-field, and with one behind a field.
  for (; list[at]?.startsWith(":") === true; at += 2) {
    const name = list[at] ?? "";
    const value = list[at + 1] ?? "";
    switch (name) {
      case ":method":
        method = value;
        break;
      case ":path":
        target = value;
        break;
      case ":scheme":
        scheme = value;
        break;
      case ":authority":
        authority = value;
        break;
      case ":protocol":
        // nghttp2 lets it pass with CONNECT only (RFC 8441 section 4).
        protocol = value;
        break;
      default:
        fields.begin({ method, target, bytes: 0 });
        return { line: { method, target }, head: refuse(400, "unknown pseudo-field") };
    }
  }
  const bytes = method.length + target.length + REST_OF_LINE_BYTES;
  fields.begin({ method, target, bytes });
  if (authority !== null) fields.add("host", authority);
  let cookie: string | null = null;
  for (; at < list.length; at += 2) {
    const name = list[at] ?? "";
    const value = list[at + 1] ?? "";
    if (name === "cookie") {
      // Clients split cookies to compress them better (RFC 9113 section 8.2.3).
      cookie = cookie === null ? value : `${cookie}; ${value}`;
    } else if (name === "host" && authority !== null) {
      if (value.toLowerCase() !== authority.toLowerCase()) {
        fields.refuse(400, "Host differs from :authority");
      }
    } else if (HTTP1_ONLY.has(name)) {
      fields.refuse(400, `field ${name}`);
    } else fields.add(name, value);
  }
  if (cookie !== null) fields.add("cookie", cookie);
  const line: Http2RequestLine = { method, target };
  if (protocol !== null) {
    if (method !== "CONNECT") fields.refuse(400, ":protocol without CONNECT");
    else if (protocol.toLowerCase() !== "websocket") fields.refuse(501, `protocol ${protocol}`);
    line.isUpgrade = true;
    line.method = "GET";
    fields.add("upgrade", "websocket");
  }
  if (fields.expect !== null && fields.expect.toLowerCase() !== "100-continue") {
    fields.refuse(417, "Expect is not 100-continue");
  }
  const refusal = fields.refusal ?? findRefusal({ method: line.method, target, scheme });
  if (refusal !== null) return { line, head: refusal };
  const hasBody = !isComplete && line.isUpgrade !== true;
  const bodyBytes = hasBody ? toLength(fields.contentLength) : 0;
  if (bodyBytes === "invalid") {
    return { line, head: refuse(400, "Content-Length is not a number") };
  }
  const head = fields.toHead({ method: line.method, target, bodyBytes, peer });
  if (!("reason" in head)) head.protocol = "HTTP/2.0";
  return { line, head };
}

function findRefusal({
  method,
  target,
  scheme,
}: {
  method: string;
  target: string;
  scheme: string;
}): HeadRefusal | null {
  if (method === "CONNECT" || method === "TRACE") return refuse(405, `method ${method}`);
  if (scheme !== "http" && scheme !== "https") return refuse(400, "scheme is not http or https");
  const isServerWide = target === "*" && method === "OPTIONS";
  if (!target.startsWith("/") && !isServerWide) return refuse(400, "path without a slash");
  return null;
}

function toLength(value: string | null): number | null | "invalid" {
  if (value === null) return null;
  return DIGITS.test(value) ? Number(value) : "invalid";
}

function refuse(status: HeadRefusal["status"], reason: string): HeadRefusal {
  return { status, reason };
}

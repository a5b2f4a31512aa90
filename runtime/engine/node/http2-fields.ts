import type { OutgoingHttpHeaders } from "node:http2";
import type { ResponseHead } from "./transport.ts";

/** Fields that HTTP/2 forbids (RFC 9113 section 8.2.2). */
const FORBIDDEN: ReadonlySet<string> = new Set([
  "connection",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "transfer-encoding",
  "upgrade",
]);

/**
 * Returns the head of a response in the form of `node:http2`. The object is used again for the same fields: it is valid
 * until the next call, and `respond` copies it.
 */
export function toHttp2Headers({ status, fields, lengthBytes }: ResponseHead): OutgoingHttpHeaders {
  const headers = (fields.http2 ??= toHeaders(fields.fields));
  headers[":status"] = status;
  // `node:http2` leaves out fields that are undefined.
  headers["content-length"] = lengthBytes === null ? undefined : String(lengthBytes);
  return headers;
}

/**
 * Returns the same head with the first value of each field only. For fields that `node:http2` refuses to send twice,
 * such as `content-type`.
 */
export function withSingleValues(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const single: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(headers)) {
    single[name] = Array.isArray(value) && name !== "set-cookie" ? value[0] : value;
  }
  return single;
}

function toHeaders(
  fields: readonly (readonly [name: string, value: string])[],
): OutgoingHttpHeaders {
  // `null` as prototype: a field may be named `__proto__`. The cast is true: the object has strings and arrays only.
  const headers = Object.assign(Object.create(null) as OutgoingHttpHeaders, {
    ":status": 200,
    "content-length": undefined,
  });
  for (const [rawName, value] of fields) {
    const name = rawName.toLowerCase();
    if (FORBIDDEN.has(name)) continue;
    const known = headers[name];
    if (known === undefined) headers[name] = value;
    else if (Array.isArray(known)) known.push(value);
    else headers[name] = [String(known), value];
  }
  return headers;
}

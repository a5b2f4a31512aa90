import { MAX_RESPONSE_HEAD } from "../channel/messages.ts";
import { formatFields } from "../web/fields.ts";
import type { CallBinding } from "./service-calls.ts";

/** The request of a call, as the primary gets it. */
export interface CallRequest {
  readonly method: string;
  /** Absolute, without a fragment. */
  readonly url: string;
  /** Field block. */
  readonly fields: string;
  readonly body: ReadableStream<Uint8Array> | null;
  readonly signal: AbortSignal;
}

/** Base of a path that a handler names without an origin. */
const ORIGIN = "http://localhost";

/**
 * Fields that belong to a connection, or that describe a body in its former form. Without `accept-encoding` the answer is not
 * compressed: the caller reads its text.
 */
const LOST_FIELDS = [
  "accept-encoding",
  "connection",
  "content-length",
  "expect",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];

/**
 * Reads the arguments of `fetch()` of a binding. A text that begins with `/` is a path.
 *
 * @throws TypeError for a URL that is not of http or https, for fields that are too long, and for a body that was read.
 */
export function toCallRequest(
  { name }: Pick<CallBinding, "name">,
  input: string | URL | Request,
  init?: RequestInit,
): CallRequest {
  const request = toRequest(name, input, init);
  const url = new URL(request.url);
  url.hash = "";
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    throw new TypeError(
      `Cannot call env.${name}: found the URL ${request.url}, expected one of http or https`,
    );
  }
  const headers = new Headers(request.headers);
  for (const field of LOST_FIELDS) headers.delete(field);
  if (!headers.has("host")) headers.set("host", url.host);
  const fields = formatFields(headers);
  if (fields.length > MAX_RESPONSE_HEAD) {
    throw new TypeError(
      `Cannot call env.${name}: found ${fields.length} characters of fields, expected at most ${MAX_RESPONSE_HEAD}`,
    );
  }
  const { method, body, signal } = request;
  if (request.bodyUsed || body?.locked === true) {
    throw new TypeError(
      `Cannot call env.${name}: found a body that is read already, expected one that nothing reads. Clone the request before`,
    );
  }
  return { method, url: url.href, fields, body, signal };
}

function toRequest(name: string, input: string | URL | Request, init?: RequestInit): Request {
  if (input instanceof Request && init === undefined) return input;
  const isPath = typeof input === "string" && input.startsWith("/");
  const target = isPath ? ORIGIN + input : input;
  if (typeof target === "string" && !URL.canParse(target)) {
    const found = JSON.stringify(target.slice(0, 200));
    throw new TypeError(
      `Cannot call env.${name}: found ${found}, expected a Request, a URL such as https://example.com/page, or a path such as /page`,
    );
  }
  // The parts of a request are getters, which a spread does not copy.
  if (init instanceof Request) return new Request(target, init);
  // Node wants `duplex` for a stream. Workers do not know it.
  return new Request(target, { duplex: "half", ...init });
}

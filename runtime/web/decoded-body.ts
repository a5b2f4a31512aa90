import { NativeResponse } from "./native.ts";

/**
 * Bodies that Node's `fetch` has decoded.
 *
 * By the Fetch Standard, `fetch` decodes a body and leaves `content-encoding` and `content-length` as they came. A
 * server that sends such a body on must drop both: they describe bytes that no longer exist.
 */
const decodedBodies = new WeakSet<object>();

/** Remembers whether `fetch` has decoded the body of a response. Returns the response. */
export function noteFetched(response: Response): Response {
  // A test double of `fetch` may return anything.
  if (!(response instanceof NativeResponse)) return response;
  const coding = response.headers.get("content-encoding");
  if (decodesFetch(coding) && response.body !== null) decodedBodies.add(response.body);
  return response;
}

/** Tells whether `fetch` has decoded the body with this stream. */
export function isDecodedStream(body: unknown): boolean {
  return typeof body === "object" && body !== null && decodedBodies.has(body);
}

/** Remembers that `fetch` has decoded the body with this stream: `clone()` makes new streams of one. */
export function noteDecodedStream(body: unknown): void {
  if (typeof body === "object" && body !== null) decodedBodies.add(body);
}

/**
 * Tells whether `fetch` has decoded the body of a response: the response of `fetch` itself, a clone of it, or one that
 * was made with its stream (`new Response(upstream.body, upstream)`).
 */
export function isDecodedBody(
  { body, url }: { body: unknown; url: unknown },
  coding: string,
): boolean {
  if (typeof body !== "object" || body === null) return false;
  // Only `fetch` gives a response a URL. A clone has it too, and another stream.
  return decodedBodies.has(body) || (url !== "" && decodesFetch(coding));
}

/** Tells whether `fetch` decodes a body with this `content-encoding`: only if it knows all codings in it. */
export function decodesFetch(contentEncoding: string | null): boolean {
  return (
    contentEncoding !== null &&
    contentEncoding
      .toLowerCase()
      .split(",")
      .every((coding) => DECODED_CODINGS.has(coding.trim()))
  );
}

/** From undici (`lib/web/fetch/index.js`); zstd since its version 7.11. */
const DECODED_CODINGS: ReadonlySet<string> = new Set([
  "br",
  "deflate",
  "gzip",
  "x-gzip",
  ...(decodesZstd(process.versions["undici"]) ? ["zstd"] : []),
]);

function decodesZstd(version = ""): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > 7 || (major === 7 && minor >= 11);
}

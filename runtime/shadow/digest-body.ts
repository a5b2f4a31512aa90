import { webcrypto } from "node:crypto";
import { promisify } from "node:util";
import * as zlib from "node:zlib";
import type { SampledBody } from "../control/shadowing.ts";

/** Largest body that is digested, before its coding is undone. */
export const MOST_BODY_BYTES = 256 * 1024;

/** Largest body that is digested, after its coding was undone. */
const MOST_DECODED_BYTES = 1024 * 1024;

/** Longest text that is handed out as it is. */
const MOST_TEXT_BYTES = 16 * 1024;

const TEXT_TYPE = /^(?:text\/|application\/(?:[\w.-]+\+)?(?:json|xml)\b|application\/javascript)/i;

/**
 * Returns the digest of a body whose content coding is undone. Decoding and hashing run in Node's threads, not in the event
 * loop. Never rejects: a body that cannot be decoded is unknown.
 */
export async function digestBody(
  bytes: Uint8Array,
  { coding, type }: { coding: string | undefined; type: string | undefined },
): Promise<SampledBody> {
  let decoded: Uint8Array | null;
  try {
    decoded = bytes.length === 0 ? bytes : await decode(bytes, coding);
  } catch {
    // Broken bytes, or too many of them.
    decoded = null;
  }
  if (decoded === null) return { kind: "unknown" };
  const hash = await webcrypto.subtle.digest("SHA-256", decoded);
  const isText = TEXT_TYPE.test(type ?? "") && decoded.length <= MOST_TEXT_BYTES;
  return {
    kind: "digest",
    lengthBytes: decoded.length,
    sha256: Buffer.from(hash).toString("hex"),
    text: isText ? Buffer.from(decoded).toString("utf8") : null,
  };
}

/** @returns `null`: the coding is not known. */
function decode(bytes: Uint8Array, coding = "identity"): Promise<Uint8Array> | Uint8Array | null {
  const limit = { maxOutputLength: MOST_DECODED_BYTES };
  switch (coding.toLowerCase().trim()) {
    case "":
    case "identity":
      return bytes;
    case "gzip":
    case "x-gzip":
      return promisify<Uint8Array, object, Buffer>(zlib.gunzip)(bytes, limit);
    case "deflate":
      return promisify<Uint8Array, object, Buffer>(zlib.inflate)(bytes, limit);
    case "br":
      return promisify<Uint8Array, object, Buffer>(zlib.brotliDecompress)(bytes, limit);
    default:
      return null;
  }
}

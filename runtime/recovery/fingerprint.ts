import { createHash } from "node:crypto";

declare const brand: unique symbol;

/** Names all requests with the same method, URL and body. */
export type Fingerprint = string & { readonly [brand]: "Fingerprint" };

/**
 * Computes the fingerprint by which a repeated request is recognised.
 *
 * Header fields do not count: a request that crashes workers does so with any cookie or trace id.
 */
export function computeFingerprint(request: {
  method: string;
  url: string;
  body: Uint8Array | null;
}): Fingerprint {
  const hash = createHash("sha256").update(`${request.method} ${request.url}\n`);
  if (request.body !== null) hash.update(request.body);
  // The only maker of fingerprints.
  return hash.digest("base64") as Fingerprint;
}

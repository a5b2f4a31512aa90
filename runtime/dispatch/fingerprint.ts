import { createHash } from "node:crypto";

declare const brand: unique symbol;

/** Names all requests with the same method, URL and body. */
export type Fingerprint = string & { readonly [brand]: "Fingerprint" };

/**
 * What a request is recognised by when it comes again.
 *
 * Its fields do not count: a poison that comes with another cookie or trace id is the same poison.
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

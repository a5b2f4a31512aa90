import { createHash, createPublicKey, type KeyObject, sign } from "node:crypto";

/** The public half of a P-256 key (RFC 7518 section 6.2). */
export interface PublicJwk {
  crv: string;
  kty: string;
  x: string;
  y: string;
}

/** Returns the public half of a P-256 key. */
export function toPublicJwk(key: KeyObject): PublicJwk {
  const { crv = "", kty = "", x = "", y = "" } = createPublicKey(key).export({ format: "jwk" });
  return { crv, kty, x, y };
}

/** Returns the thumbprint of a key (RFC 7638). */
export function toThumbprint({ crv, kty, x, y }: PublicJwk): string {
  // The members in the order of their names, without spaces.
  return createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
}

/**
 * Signs a request (RFC 8555 section 6.2) with ES256.
 *
 * @param payload `null`: an empty payload, which makes the request a read (section 6.3).
 * @returns The body of the request.
 */
export function signRequest(
  key: KeyObject,
  header: { nonce: string; url: string; kid: string | null },
  payload: object | null,
): string {
  const { nonce, url, kid } = header;
  const identity = kid === null ? { jwk: toPublicJwk(key) } : { kid };
  const encodedHeader = encode(JSON.stringify({ alg: "ES256", nonce, url, ...identity }));
  const encodedPayload = payload === null ? "" : encode(JSON.stringify(payload));
  const signed = Buffer.from(`${encodedHeader}.${encodedPayload}`);
  const signature = sign("sha256", signed, { key, dsaEncoding: "ieee-p1363" });
  return JSON.stringify({
    protected: encodedHeader,
    payload: encodedPayload,
    signature: signature.toString("base64url"),
  });
}

function encode(text: string): string {
  return Buffer.from(text).toString("base64url");
}

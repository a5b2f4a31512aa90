import assert from "node:assert/strict";
import { createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { describe, it } from "node:test";
import { signRequest, toPublicJwk, toThumbprint } from "../../runtime/acme/jws.ts";

const { privateKey: key } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const HEADER = { nonce: "n-1", url: "https://ca.test/new-order" };

function parse(body: string): { header: unknown; payload: string; isValid: boolean } {
  const { protected: head, payload, signature } = JSON.parse(body) as Record<string, string>;
  const signed = Buffer.from(`${head}.${payload}`);
  const isValid = verify(
    "sha256",
    signed,
    { key: createPublicKey(key), dsaEncoding: "ieee-p1363" },
    Buffer.from(signature ?? "", "base64url"),
  );
  return {
    header: JSON.parse(Buffer.from(head ?? "", "base64url").toString()),
    payload: Buffer.from(payload ?? "", "base64url").toString(),
    isValid,
  };
}

describe("signRequest()", () => {
  it("names the account by its key first, then by its URL", () => {
    const first = parse(signRequest(key, { ...HEADER, kid: null }, { a: 1 }));
    assert.deepEqual(first.header, { alg: "ES256", ...HEADER, jwk: toPublicJwk(key) });
    assert.deepEqual([first.payload, first.isValid], ['{"a":1}', true]);
    const later = parse(signRequest(key, { ...HEADER, kid: "https://ca.test/1" }, null));
    assert.deepEqual(later.header, { alg: "ES256", ...HEADER, kid: "https://ca.test/1" });
    assert.deepEqual([later.payload, later.isValid], ["", true]);
  });
});

describe("toThumbprint()", () => {
  it("does not depend on the order of the members", () => {
    const { crv, kty, x, y } = toPublicJwk(key);
    assert.equal(toThumbprint({ y, x, kty, crv }), toThumbprint({ crv, kty, x, y }));
    assert.match(toThumbprint({ crv, kty, x, y }), /^[\w-]{43}$/);
  });
});

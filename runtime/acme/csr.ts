import { createPublicKey, type KeyObject, sign } from "node:crypto";

/**
 * Makes a certificate request (RFC 2986) for DNS names, signed by a P-256 key.
 *
 * The subject is empty: the names are in the extension for alternative names. No other extension is asked for, so that the authority
 * decides about them.
 *
 * @returns DER.
 */
export function makeCertificateRequest(key: KeyObject, names: readonly string[]): Buffer {
  const alternatives = sequence(...names.map((name) => element(DNS_NAME, Buffer.from(name))));
  const extension = sequence(SUBJECT_ALTERNATIVE_NAME, element(OCTET_STRING, alternatives));
  const attribute = sequence(EXTENSION_REQUEST, element(SET, sequence(extension)));
  const info = sequence(
    VERSION_1,
    sequence(),
    createPublicKey(key).export({ type: "spki", format: "der" }),
    element(ATTRIBUTES, attribute),
  );
  const signature = sign("sha256", info, key);
  // A bit string begins with the number of its unused bits.
  const bits = Buffer.concat([Buffer.from([0]), signature]);
  return sequence(info, sequence(ECDSA_WITH_SHA256), element(BIT_STRING, bits));
}

const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const SEQUENCE = 0x30;
const SET = 0x31;
/** `[0]` of a request: its attributes. */
const ATTRIBUTES = 0xa0;
/** `[2]` of a general name: a DNS name. */
const DNS_NAME = 0x82;

const VERSION_1 = Buffer.from("020100", "hex");
/** 2.5.29.17 */
const SUBJECT_ALTERNATIVE_NAME = Buffer.from("0603551d11", "hex");
/** 1.2.840.113549.1.9.14 */
const EXTENSION_REQUEST = Buffer.from("06092a864886f70d01090e", "hex");
/** 1.2.840.10045.4.3.2 */
const ECDSA_WITH_SHA256 = Buffer.from("06082a8648ce3d040302", "hex");

function sequence(...parts: readonly Buffer[]): Buffer {
  return element(SEQUENCE, Buffer.concat(parts));
}

function element(tag: number, content: Buffer): Buffer {
  return Buffer.concat([Buffer.from([tag, ...toLength(content.length)]), content]);
}

function toLength(length: number): number[] {
  if (length < 0x80) return [length];
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest >>>= 8) bytes.unshift(rest & 0xff);
  return [0x80 | bytes.length, ...bytes];
}

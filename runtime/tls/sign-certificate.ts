import {
  type KeyObject,
  X509Certificate,
  createPublicKey,
  generateKeyPairSync,
  randomBytes,
  sign,
} from "node:crypto";
import { AsnConvert, OctetString } from "@peculiar/asn1-schema";
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_subjectAltName,
  id_kp_serverAuth,
} from "@peculiar/asn1-x509";

export interface CertificateRequest {
  commonName: string;
  /** DNS names. */
  names: readonly string[];
  /** IP addresses. */
  addresses: readonly string[];
  notBefore: Date;
  notAfter: Date;
}

/** Makes a P-256 key. Returns it as PKCS #8 in PEM. */
export function generateKey(): string {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  return privateKey.export({ type: "pkcs8", format: "pem" }).toString();
}

/**
 * Makes a self-signed server certificate (RFC 5280) for a P-256 key.
 *
 * The certificate has no key usage. OpenSSL accepts a certificate as its own trust anchor only if its key usage allows
 * signing certificates, or if it has no key usage. A server's certificate must not allow signing.
 *
 * @returns PEM.
 */
export function signCertificate(key: KeyObject, request: CertificateRequest): string {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 });
  const name = commonName(request.commonName);
  const publicKey = createPublicKey(key).export({ type: "spki", format: "der" });
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer: name,
    validity: new Validity({ notBefore: request.notBefore, notAfter: request.notAfter }),
    subject: name,
    subjectPublicKeyInfo: AsnConvert.parse(publicKey, SubjectPublicKeyInfo),
    extensions: new Extensions([
      extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), { critical: true }),
      extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
      extension(
        id_ce_subjectAltName,
        new SubjectAlternativeName([
          ...request.names.map((dNSName) => new GeneralName({ dNSName })),
          ...request.addresses.map((iPAddress) => new GeneralName({ iPAddress })),
        ]),
      ),
    ]),
  });
  const signed = Buffer.from(AsnConvert.serialize(tbsCertificate));
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: toArrayBuffer(sign("sha256", signed, key)),
  });
  // Node converts a certificate to PEM.
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString();
}

/** RFC 5758 section 3.2. */
const ECDSA_WITH_SHA256 = "1.2.840.10045.4.3.2";

const COMMON_NAME = "2.5.4.3";

function commonName(utf8String: string): Name {
  const value = new AttributeValue({ utf8String });
  return new Name([
    new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })]),
  ]);
}

function extension(
  extnID: string,
  value: object,
  options: { critical: boolean } = { critical: false },
): Extension {
  const extnValue = new OctetString(AsnConvert.serialize(value));
  return new Extension({ extnID, critical: options.critical, extnValue });
}

/** Returns 16 random bytes: a number that is positive and never zero (RFC 5280 section 4.1.2.2). */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16);
  bytes.writeUInt8((bytes.readUInt8(0) & 0x3f) | 0x40, 0);
  return toArrayBuffer(bytes);
}

/** Copies the bytes: a small Buffer shares its memory with others. */
function toArrayBuffer(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}

import { type KeyObject, X509Certificate, createPrivateKey } from "node:crypto";
import { createSecureContext } from "node:tls";

/** The contents of a certificate's file and of its key's file. */
export interface CertificatePems {
  certPath: string;
  keyPath: string;
  cert: Buffer;
  key: Buffer;
}

export type CheckedCertificate =
  | { ok: true; certificate: X509Certificate; names: string[]; warnings: string[] }
  | { ok: false; problem: string };

/**
 * Checks that a certificate can be served with a key.
 *
 * uWebSockets.js must not be the first to check: for each of these problems it throws "App construction failed" or
 * reports nothing at all.
 *
 * @returns The first problem, or the server's certificate with its DNS names: lower case, perhaps `*.example.com`.
 *   Problems that only clients report, such as an expired certificate, are warnings.
 */
export function checkCertificate(pems: CertificatePems, now: Date): CheckedCertificate {
  const { certPath, keyPath } = pems;
  const chain = parseChain(pems.cert);
  if (typeof chain === "string") return refuse(certPath, chain);
  const key = parseKey(pems.key);
  if (typeof key === "string") return refuse(keyPath, key);

  const [certificate, ...issuers] = chain;
  if (certificate === undefined)
    return refuse(certPath, describeContent(pems.cert, "a certificate"));
  if (!certificate.checkPrivateKey(key)) {
    return issuers.some((issuer) => issuer.checkPrivateKey(key))
      ? refuse(
          certPath,
          "found the certificates in the wrong order, expected the server's own first",
        )
      : refuse(keyPath, `found the key of another certificate, expected the one of ${certPath}`);
  }
  const type = describeUnsupportedKey(key);
  if (type !== null) {
    return refuse(keyPath, `found ${type}, expected RSA, ECDSA (P-256, P-384, P-521) or Ed25519`);
  }
  try {
    createSecureContext({ cert: pems.cert, key: pems.key });
  } catch (error) {
    return refuse(
      certPath,
      `OpenSSL says "${error instanceof Error ? error.message : String(error)}"`,
    );
  }
  const names = readServerNames(certificate);
  const warnings = [...warnAboutDates(certificate, now), ...warnAboutChain(chain)];
  if (names.length === 0 && !certificate.subjectAltName?.includes("IP Address:")) {
    warnings.push("names no host (it has no subjectAltName): browsers refuse it");
  }
  return {
    ok: true,
    certificate,
    names,
    warnings: warnings.map((warning) => `${certPath} ${warning}`),
  };
}

/** Longest time before the end of a certificate in which its renewal is due. */
const MOST_DUE_MS = 30 * 24 * 3_600_000;

/** Tells whether the renewal of a certificate is due: a third of its lifetime is left, or 30 days of a long one. */
export function isDue(
  { notBeforeMs, notAfterMs }: { notBeforeMs: number; notAfterMs: number },
  nowMs: number,
): boolean {
  return notAfterMs - nowMs < Math.min((notAfterMs - notBeforeMs) / 3, MOST_DUE_MS);
}

function refuse(file: string, reason: string): CheckedCertificate {
  return { ok: false, problem: `Cannot use ${file}: ${reason}` };
}

/** Returns the certificates in their order, or the reason why there are none. */
function parseChain(pem: Buffer): X509Certificate[] | string {
  const blocks =
    pem.toString("latin1").match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ??
    [];
  if (blocks.length === 0) return describeContent(pem, "a certificate");
  try {
    return blocks.map((block) => new X509Certificate(block));
  } catch {
    return "found a damaged certificate, expected PEM";
  }
}

function parseKey(pem: Buffer): KeyObject | string {
  const text = pem.toString("latin1");
  if (/-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(text)) {
    return (
      "found an encrypted private key, expected one without a passphrase " +
      "(openssl pkey -in OLD -out NEW removes it)"
    );
  }
  if (!text.includes("PRIVATE KEY-----")) return describeContent(pem, "a private key");
  try {
    return createPrivateKey(pem);
  } catch {
    return "found a damaged private key, expected PEM";
  }
}

function describeContent(content: Buffer, expected: string): string {
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(content.toString("latin1"))?.[1];
  const found =
    content.length === 0
      ? "an empty file"
      : label !== undefined
        ? `"${label}"`
        : content[0] === DER_SEQUENCE
          ? "binary (DER)"
          : "no PEM";
  return `found ${found}, expected ${expected} in PEM`;
}

/** First byte of every certificate and key in DER. */
const DER_SEQUENCE = 0x30;

/** Describes a key that BoringSSL, inside uWebSockets.js, refuses; `null` for other keys. Each type was tried. */
function describeUnsupportedKey(key: KeyObject): string | null {
  const type = key.asymmetricKeyType;
  const curve = key.asymmetricKeyDetails?.namedCurve;
  if (type === "ec") {
    return SUPPORTED_CURVES.has(curve ?? "")
      ? null
      : `an ECDSA key on ${curve ?? "a curve of its own"}`;
  }
  return type === "rsa" || type === "ed25519" ? null : `a key of type ${type ?? "unknown"}`;
}

const SUPPORTED_CURVES: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"]);

function readServerNames(certificate: X509Certificate): string[] {
  const names = (certificate.subjectAltName ?? "").split(", ").flatMap((entry) => {
    const name = /^DNS:((?:\*\.)?[a-z\d_-]+(?:\.[a-z\d_-]+)*)$/i.exec(entry)?.[1];
    return name === undefined ? [] : [name.toLowerCase()];
  });
  return [...new Set(names)];
}

function warnAboutDates({ validFrom, validTo }: X509Certificate, now: Date): string[] {
  const notAfter = new Date(validTo);
  if (now > notAfter) return [`expired on ${formatDay(notAfter)}`];
  if (now < new Date(validFrom)) return [`is not valid before ${formatDay(new Date(validFrom))}`];
  const life = { notBeforeMs: Date.parse(validFrom), notAfterMs: notAfter.getTime() };
  return isDue(life, now.getTime()) ? [`expires on ${formatDay(notAfter)}`] : [];
}

function formatDay(date: Date): string {
  return date.toISOString().slice(0, 10);
}

function warnAboutChain(chain: readonly X509Certificate[]): string[] {
  const broken = chain.findIndex((certificate, index) => {
    const issuer = chain[index + 1];
    return issuer !== undefined && !certificate.checkIssued(issuer);
  });
  return broken === -1
    ? []
    : [
        `is out of order: its certificate ${broken + 2} did not issue its certificate ${broken + 1}`,
      ];
}

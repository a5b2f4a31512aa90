import { createHash, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext, type SecureContext, type SecureContextOptions } from "node:tls";
import type { TlsSettings } from "../../tls/tls-suites.ts";
import type { ServedCertificate, ServedCertificates } from "../engine.ts";

/** Suites of TLS 1.3, in the order of OpenSSL's default. They are always offered. */
const SUITES_OF_1_3 = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";

/** Returns the options of TLS for Node that follow from the settings. */
export function toTlsOptions({ tlsCiphers, tlsMinVersion }: TlsSettings): SecureContextOptions {
  const isNewOnly = tlsMinVersion === "1.3";
  return {
    minVersion: isNewOnly ? "TLSv1.3" : "TLSv1.2",
    ciphers: isNewOnly ? SUITES_OF_1_3 : `${SUITES_OF_1_3}:${tlsCiphers}`,
  };
}

interface Entry {
  context: SecureContext;
  certificate: ServedCertificate;
}

/** The certificates of a listener, loaded. A listener replaces the table as a whole. */
export class CertificateTable {
  /** Options of the context for connections that name no known host. Without a certificate if they are refused. */
  readonly defaults: SecureContextOptions;
  /** Whether connections that name no known host are refused. */
  readonly onlyByName: boolean;
  readonly #first: ServedCertificate;
  readonly #byName = new Map<string, Entry>();
  readonly #byFingerprint = new Map<string, ServedCertificate>();

  /**
   * Reads the files.
   *
   * @throws Error Node's own, for a file that cannot be read, or a certificate or suites that OpenSSL refuses.
   */
  constructor(certificates: NonNullable<ServedCertificates>, tls: TlsSettings) {
    const options = toTlsOptions(tls);
    const [first, ...others] = certificates;
    this.#first = first;
    this.onlyByName = first.onlyByName === true;
    const ofFirst = { ...options, ...this.#read(first) };
    const firstContext = createSecureContext(ofFirst);
    this.defaults = this.onlyByName ? options : ofFirst;
    // A name of the first certificate needs an entry only where other names are refused.
    for (const name of this.onlyByName ? first.names : []) {
      this.#add(name, { context: firstContext, certificate: first });
    }
    for (const certificate of others) {
      const context = createSecureContext({ ...options, ...this.#read(certificate) });
      for (const name of certificate.names) this.#add(name, { context, certificate });
    }
  }

  /** Returns the context for a server name; `undefined`: the default one. */
  find(name: string): SecureContext | undefined {
    return this.#entryOf(name)?.context;
  }

  /** Returns the certificate that serves this server name; `null`: connections with this name are refused. */
  findNamed(name: string): ServedCertificate | null {
    return this.#entryOf(name)?.certificate ?? (this.onlyByName ? null : this.#first);
  }

  /** Returns the certificate with these bytes; `null`: it is none of the table. */
  findServed(raw: Uint8Array): ServedCertificate | null {
    if (this.#byFingerprint.size === 1) return this.#first;
    return this.#byFingerprint.get(fingerprint(raw)) ?? null;
  }

  #entryOf(name: string): Entry | undefined {
    const lower = name.toLowerCase();
    const exact = this.#byName.get(lower);
    if (exact !== undefined) return exact;
    const dot = lower.indexOf(".");
    // `*` stands for one label (RFC 6125 section 6.4.3).
    return dot === -1 ? undefined : this.#byName.get(`*${lower.slice(dot)}`);
  }

  #add(name: string, entry: Entry): void {
    const lower = name.toLowerCase();
    if (!this.#byName.has(lower)) this.#byName.set(lower, entry);
  }

  #read(certificate: ServedCertificate): { cert: Buffer; key: Buffer } {
    const cert = readFileSync(certificate.certPath);
    const key = readFileSync(certificate.keyPath);
    const mark = fingerprint(new X509Certificate(cert).raw);
    if (!this.#byFingerprint.has(mark)) this.#byFingerprint.set(mark, certificate);
    return { cert, key };
  }
}

function fingerprint(raw: Uint8Array): string {
  return createHash("sha256").update(raw).digest("base64url");
}

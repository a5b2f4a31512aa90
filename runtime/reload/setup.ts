import type { Config } from "../config/config.ts";
import type { ServerCertificate } from "../tls/tls.ts";

/** The operator's config and certificates, read and checked. Plain data. A reload replaces it as a whole. */
export interface Setup {
  config: Config;
  /** Certificates, the default one first; `null`: there is no TLS listener. */
  certificates: readonly [ServerCertificate, ...ServerCertificate[]] | null;
  /** Warnings for the operator, one line each, about files that are usable but probably not as intended. */
  warnings: readonly string[];
}

/** Tells whether two setups serve the same certificates, in the same order. */
export function haveSameCertificates(one: Setup, other: Setup): boolean {
  return describeCertificates(one) === describeCertificates(other);
}

function describeCertificates({ certificates }: Setup): string {
  return JSON.stringify(
    certificates?.map(({ certPath, names, digest, onlyByName }) => [
      certPath,
      names,
      digest,
      onlyByName === true,
    ]) ?? null,
  );
}

import type { Config } from "./config.ts";
import type { ServerCertificate } from "./front/tls.ts";

/** The operator's config and certificates, read and checked. Plain data. A reload replaces it as a whole. */
export interface Setup {
  config: Config;
  /** The default certificate comes first; `null` when there is no TLS listener. */
  certificates: readonly [ServerCertificate, ...ServerCertificate[]] | null;
  /** For the operator, one line each: what was read can be used, but not as it is meant. */
  warnings: readonly string[];
}

/** Tells whether two setups serve the same certificates, in the same order. */
export function haveSameCertificates(one: Setup, other: Setup): boolean {
  return describeCertificates(one) === describeCertificates(other);
}

function describeCertificates({ certificates }: Setup): string {
  return JSON.stringify(
    certificates?.map(({ certPath, names, digest }) => [certPath, names, digest]) ?? null,
  );
}

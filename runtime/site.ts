import type { Config } from "./config.ts";
import type { ServerCertificate } from "./front/tls.ts";

/** What the operator has set up, read and checked. Plain data. */
export interface Site {
  config: Config;
  /** Default first; `null` when there is no TLS listener. */
  certificates: readonly [ServerCertificate, ...ServerCertificate[]] | null;
}

/** Whether two sites serve the same certificates, in the same order. */
export function haveSameCertificates(one: Site, other: Site): boolean {
  return describeCertificates(one) === describeCertificates(other);
}

function describeCertificates({ certificates }: Site): string {
  return JSON.stringify(
    certificates?.map(({ certPath, names, digest }) => [certPath, names, digest]) ?? null,
  );
}

import { isCovered } from "../config/host-name.ts";
import { HostTable, hostOf } from "../http/host-table.ts";

/** A certificate, with the names for which it is served, and all names that it has. */
export interface NamedCertificate {
  readonly names: readonly string[];
  readonly covers: readonly string[];
}

/**
 * Finds requests on a connection whose certificate does not have their host (RFC 9110 section 7.4): the client connected to
 * another site, or a proxy sent them to the wrong place. Their answer is 421.
 *
 * Two cases are fine. Clients of a host that no certificate has accept any certificate, and could not choose a better one.
 * A certificate may have the host although another one is served for it: browsers use one connection for several hosts.
 */
export class Misdirection {
  readonly #served: HostTable<NamedCertificate | null>;
  readonly #covers = new WeakMap<NamedCertificate, ReadonlySet<string>>();

  constructor(certificates: readonly NamedCertificate[]) {
    this.#served = new HostTable<NamedCertificate | null>({
      entries: certificates.map((value) => ({ hosts: value.names, value })),
      otherwise: null,
    });
  }

  /** @param origin The origin that the client itself names. */
  isMisdirected(origin: string, certificate: NamedCertificate): boolean {
    const served = this.#served.find(origin);
    if (served === null || served === certificate) return false;
    let covers = this.#covers.get(certificate);
    if (covers === undefined) {
      covers = new Set(certificate.covers);
      this.#covers.set(certificate, covers);
    }
    return !isCovered(hostOf(origin), covers);
  }
}

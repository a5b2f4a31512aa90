import type { Client } from "../http/client.ts";
import { HostTable } from "../http/host-table.ts";
import { parseTarget } from "../http/target-path.ts";
import { Misdirection, type NamedCertificate } from "./misdirection.ts";
import { serve, type Site } from "./site.ts";

/**
 * The sites that serve, and the certificates of their names. Leads each request to the site of its host.
 *
 * A reload replaces the sites and the certificates, each as a whole.
 */
export class LiveSites {
  readonly #onMalformed: (client: Client) => void;
  #sites = new HostTable<Site>({ entries: [], otherwise: { hosts: [], stages: [], series: 0 } });
  #misdirection = new Misdirection([]);
  #onRequest: ((client: Client) => void) | null = null;

  /** @param onMalformed Called for each request whose target is malformed. */
  constructor(onMalformed: (client: Client) => void) {
    this.#onMalformed = onMalformed;
  }

  /** Answers requests that begin from now on by these sites. */
  useSites(sites: HostTable<Site>): void {
    this.#sites = sites;
  }

  /** Calls back for each request before its stages; `null`: no more. */
  watch(onRequest: ((client: Client) => void) | null): void {
    this.#onRequest = onRequest;
  }

  /** Compares the hosts of requests with the names of these certificates from now on. */
  useCertificates(certificates: readonly NamedCertificate[]): void {
    this.#misdirection = new Misdirection(certificates);
  }

  /**
   * Answers a request. Answers 400 if its target is malformed, and 421 if its host needs the certificate of another
   * connection.
   *
   * @param certificate The certificate of the connection; `null`: it has none, or an unknown one.
   * @param ownOrigin The origin that the client itself names. A trusted proxy may name another one.
   */
  serve(client: Client, certificate: NamedCertificate | null, ownOrigin: string): void {
    const target = parseTarget(client.head.target);
    if (!target.ok) {
      if (client.inquiry === undefined) this.#onMalformed(client);
      client.inquiry?.note(`the target is malformed: ${target.reason}`);
      client.refuse(400);
      return;
    }
    if (this.#onRequest !== null && client.inquiry === undefined) this.#onRequest(client);
    const { only } = this.#sites;
    if (only !== null) serve(client, target, only);
    else if (certificate !== null && this.#misdirection.isMisdirected(ownOrigin, certificate)) {
      client.inquiry?.note("another certificate than that of the connection serves this host");
      client.refuse(421);
    } else serve(client, target, this.#sites.find(client.head.origin));
  }
}

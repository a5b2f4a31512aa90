import type { Site } from "./site.ts";

/** Origins whose sites are remembered. A request costs one look into a map then. */
const REMEMBERED = 16_384;

export interface SiteTableOptions {
  sites: readonly Site[];
  /** Answers for all hosts that none of the sites has. */
  otherwise: Site;
}

/**
 * Finds the site of a host: the site that names it, else the site that has `*` in the place of its first label, else the
 * site for all others.
 *
 * Its sites never change: a reload makes a new table.
 */
export class SiteTable {
  /** The one site that answers for all hosts; `null`: there are several, and `find` decides. */
  readonly only: Site | null;
  readonly #otherwise: Site;
  readonly #exact = new Map<string, Site>();
  /** By the part after `*.`. */
  readonly #wild = new Map<string, Site>();
  /** By origin, as requests had it. */
  readonly #known = new Map<string, Site>();

  constructor({ sites, otherwise }: SiteTableOptions) {
    this.#otherwise = otherwise;
    for (const site of sites) {
      for (const host of site.hosts) {
        if (host.startsWith("*.")) this.#wild.set(host.slice(2), site);
        else this.#exact.set(host, site);
      }
    }
    this.only = this.#exact.size + this.#wild.size === 0 ? otherwise : null;
  }

  /** @param origin Scheme, host and port, as `OriginResolver` returns them: `https://example.com:8443`. */
  find(origin: string): Site {
    const known = this.#known.get(origin);
    return known ?? this.#remember(origin);
  }

  /** @param host As `hostOf` returns it. */
  findHost(host: string): Site {
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    const dot = host.indexOf(".");
    const wild = dot > 0 ? this.#wild.get(host.slice(dot + 1)) : undefined;
    return wild ?? this.#otherwise;
  }

  #remember(origin: string): Site {
    const site = this.findHost(hostOf(origin));
    // Clients choose the origins: a client that sends ever new ones costs a look-up each, and no memory.
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(origin, site);
    return site;
  }
}

/** Returns the host of an origin without the port and a final dot: `example.com`, `[::1]`. */
export function hostOf(origin: string): string {
  const authority = origin.slice(origin.indexOf("//") + 2);
  // A colon inside of brackets belongs to an IPv6 address.
  const host = authority.replace(/:\d+$/, "");
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

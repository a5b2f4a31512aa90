import type { PurgingSite, ResponseCache } from "../cache/response-cache.ts";
import { Kind, type PurgedMessage, type PurgeNumber } from "../channel/messages.ts";
import type { Config } from "../config/config.ts";
import { DEFAULT_SITE, listNamedSites } from "../config/sites.ts";
import { HostTable } from "../http/host-table.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";

export interface HandlerPurgesOptions {
  log: Logger;
  cache: Pick<ResponseCache, "purgeNamed">;
  config: Config;
}

/** Purges of the handlers of a pool. A handler removes only the answers of its own site. */
export class HandlerPurges {
  readonly #options: HandlerPurgesOptions;
  #config: Config;
  /** Names of the sites by host; `null`: no handler has purged under the present config. */
  #sites: HostTable<string> | null = null;

  constructor(options: HandlerPurgesOptions) {
    this.#options = options;
    this.#config = options.config;
  }

  /** Uses the sites of another config from now on. */
  adopt(config: Config): void {
    this.#config = config;
    this.#sites = null;
  }

  /**
   * Removes entries, and answers the worker when they are gone.
   *
   * @param purge.site Name of the handler's site; absent: the default one.
   * @param reply Called once, later.
   */
  async run(
    { number, entries, site = DEFAULT_SITE }: HandlerPurge,
    reply: (message: PurgedMessage) => void,
  ): Promise<void> {
    const { cache, log } = this.#options;
    try {
      reply([Kind.purged, number, await cache.purgeNamed(entries, this.#siteNamed(site))]);
    } catch (error) {
      const isRefusal = error instanceof RuntimeError;
      if (!isRefusal) log.error({ err: error }, "purge of a handler failed: bug");
      reply([Kind.purged, number, isRefusal ? error.message : "Cannot purge: the server failed"]);
    }
  }

  #siteNamed(name: string): PurgingSite | undefined {
    this.#sites ??= toSiteTable(this.#config);
    return toPurgingSite(name, this.#sites);
  }
}

/** Returns the names of the sites by host. */
export function toSiteTable(config: Config): HostTable<string> {
  return new HostTable({
    entries: listNamedSites(config).map((site) => ({ hosts: site.hosts, value: site.name })),
    otherwise: DEFAULT_SITE,
  });
}

/** Returns a site whose purge reaches only its own hosts; absent: there are no others. */
export function toPurgingSite(name: string, sites: HostTable<string>): PurgingSite | undefined {
  return sites.only === null
    ? { name, hasOrigin: (origin) => sites.find(origin) === name }
    : undefined;
}

/** A purge that a handler asks for. */
export interface HandlerPurge {
  readonly number: PurgeNumber;
  readonly entries: string;
  readonly site?: string | undefined;
}

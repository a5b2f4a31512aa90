import type { Config } from "../config/config.ts";
import { listSites, toSiteSettings } from "../config/sites.ts";
import { HostTable } from "../http/host-table.ts";
import { type AccessFilter, createAccessFilter } from "../log/access-filter.ts";
import type { WriteLine } from "../log/access-entry.ts";
import type { AccessLog } from "../log/access-log.ts";
import type { LineFormat } from "../log/access-line.ts";
import { createFormattedLine } from "../log/format-line.ts";
import { createRedactor } from "../log/redactor.ts";

/** The access lines of a site. */
export interface SiteAccess {
  /** `null`: there are none. */
  readonly write: WriteLine | null;
  /** `null`: all requests have a line. */
  readonly filter: AccessFilter | null;
}

export type CreateAccessLog = (target: true | string, format: LineFormat | null) => AccessLog;

/** The settings that decide about access lines. A site may have each for itself. */
const FIELDS = [
  "accessLog",
  "accessLogFormat",
  "accessLogStatus",
  "accessLogSkip",
  "accessLogSample",
  "accessLogFields",
  "accessLogQuery",
] as const;

/** Each open log has a listener for the end of the process. Node would report many as a leak. */
const OTHER_LISTENERS = 10;

/**
 * The access logs of a server: one for all sites that name the same file and form. Sites without settings of their own have
 * that of the default site, and cost nothing.
 */
export class SiteAccessLogs {
  readonly #create: CreateAccessLog;
  readonly #requestIdPrefix: string;
  /** By target and form. */
  readonly #open = new Map<string, AccessLog>();
  /** Before `useSettings` there are no lines. */
  #byDefault: SiteAccess = { write: null, filter: null };
  /** `null`: all sites have the settings of the default one. */
  #sites: HostTable<SiteAccess> | null = null;

  constructor(create: CreateAccessLog, requestIdPrefix: string) {
    this.#create = create;
    this.#requestIdPrefix = requestIdPrefix;
  }

  /** Returns the access lines for an origin; `null`: the request names none. */
  of(origin: string | null): SiteAccess {
    const sites = this.#sites;
    return sites === null || origin === null ? this.#byDefault : sites.find(origin);
  }

  /** Opens the logs that the config asks for, and closes those that it does not need. */
  useSettings(config: Config): void {
    const used = new Set<string>();
    const [byDefault, ...others] = listSites(config);
    const ofDefault = byDefault === undefined ? config : toSiteSettings(config, byDefault);
    this.#byDefault = this.#toAccess(ofDefault, used);
    const isOwn = others.some(({ own }) => FIELDS.some((field) => field in own));
    this.#sites =
      isOwn || FIELDS.some((field) => field in (byDefault?.own ?? {}))
        ? new HostTable({
            entries: others.map((site) => ({
              hosts: site.hosts,
              value: this.#toAccess(toSiteSettings(config, site), used),
            })),
            otherwise: this.#byDefault,
          })
        : null;
    for (const [key, log] of this.#open) {
      if (used.has(key)) continue;
      this.#open.delete(key);
      log.close();
    }
  }

  #toAccess(settings: Config, used: Set<string>): SiteAccess {
    const { accessLog: target, accessLogFormat, redactQuery } = settings;
    const rules = {
      withQuery: settings.accessLogQuery,
      withClient: settings.accessLogFields === "combined",
      redactQuery: createRedactor(redactQuery).query,
    };
    const filter = createAccessFilter(settings);
    if (target === false) return { write: null, filter };
    const key = JSON.stringify([target, accessLogFormat, redactQuery]);
    used.add(key);
    let log = this.#open.get(key);
    if (log === undefined) {
      const format =
        accessLogFormat === "json"
          ? null
          : createFormattedLine(accessLogFormat, createRedactor(redactQuery).text);
      const needed = this.#open.size + OTHER_LISTENERS;
      if (process.getMaxListeners() < needed) process.setMaxListeners(needed);
      log = this.#create(target, format);
      this.#open.set(key, log);
    }
    return { write: log.lines({ rules, requestIdPrefix: this.#requestIdPrefix }), filter };
  }
}

/** Tells whether any site has access lines. */
export function hasAccessLog(config: Config): boolean {
  return listSites(config).some((site) => toSiteSettings(config, site).accessLog !== false);
}

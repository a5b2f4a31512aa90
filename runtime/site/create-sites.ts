import type { Config } from "../config/config.ts";
import type { RuleSetting } from "../config/rule-settings.ts";
import { DEFAULT_SITE, type SiteConfig, toSiteSettings } from "../config/sites.ts";
import type { PublicFolders } from "../files/public-folders.ts";
import type { TransferLimits } from "../http/client.ts";
import { createDefaultSite, type DefaultSiteParts, firstStages } from "./default-site.ts";
import type { Site } from "./site.ts";
import type { SiteRoutes } from "./site-routes.ts";
import { SiteTable } from "./site-table.ts";

export interface SitesParts extends Pick<
  DefaultSiteParts,
  "development" | "canServe" | "ports" | "guards"
> {
  config: Config;
  files: PublicFolders;
  /** Returns the routes of a site by its name; `null`: it has none. */
  routesOf: (site: string) => SiteRoutes | null;
}

/** Creates all sites of a config. */
export function createSites(parts: SitesParts): SiteTable {
  const { config } = parts;
  const named = config.sites.map((site) => createNamed(site, parts));
  const byDefault =
    named[config.sites.findIndex(({ name }) => name === DEFAULT_SITE)] ??
    createNamed({ name: DEFAULT_SITE, hosts: [], publicDir: null, own: {} }, parts);
  const refuses = config.unknownHost === "refuse";
  return new SiteTable({ sites: named, otherwise: refuses ? createRefusal(parts) : byDefault });
}

function createNamed(site: SiteConfig, { config, files, routesOf, ...rest }: SitesParts): Site {
  const settings = toSiteSettings(config, site);
  const { stages } = createDefaultSite({
    ...rest,
    name: site.name,
    config: settings,
    files: files.folderOf(settings),
    routes: routesOf(site.name),
    transfer: TRANSFER_FIELDS.some((field) => field in site.own) ? settings : null,
  });
  return { hosts: site.hosts, stages };
}

const TRANSFER_FIELDS: readonly (keyof TransferLimits)[] = [
  "bodyTimeoutMs",
  "minBodyRateBytesPerSecond",
  "sendTimeoutMs",
];

/** Creates the site for unknown hosts. It answers 421 to every request that the first stages leave. */
function createRefusal(parts: SitesParts): Site {
  const stages = firstStages(parts).filter((stage) => stage !== null);
  return {
    hosts: [],
    stages: [
      ...stages,
      (client) => {
        client.refuse(421);
        return "done";
      },
    ],
  };
}

/** Returns the rules of all sites. */
export function listRules(config: Config): RuleSetting[] {
  return listSiteSettings(config).flatMap(({ rules }) => rules);
}

/** Returns the settings of all sites, those of the default site first. */
export function listSiteSettings(config: Config): Config[] {
  const { sites } = config;
  const byDefault = sites.find(({ name }) => name === DEFAULT_SITE);
  const others = sites.filter((site) => site !== byDefault);
  return [
    byDefault === undefined ? config : toSiteSettings(config, byDefault),
    ...others.map((site) => toSiteSettings(config, site)),
  ];
}

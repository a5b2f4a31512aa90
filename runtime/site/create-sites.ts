import type { Config } from "../config/config.ts";
import type { ProxySetting } from "../config/proxy-setting.ts";
import { listSites, type SiteConfig, toSiteSettings } from "../config/sites.ts";
import type { PublicFolders } from "../files/public-folders.ts";
import type { TransferLimits } from "../http/client.ts";
import { HostTable } from "../http/host-table.ts";
import type { Responder } from "../http/responder.ts";
import type { SiteSeries } from "./count-as.ts";
import { createStandIn } from "./create-stand-in.ts";
import { createStages, type SiteParts } from "./create-stages.ts";
import { createFirstStages } from "./first-stages.ts";
import type { RouteFinder } from "./route-finder.ts";
import { labelled, type Site } from "./site.ts";

export interface SitesParts extends Pick<
  SiteParts,
  | "development"
  | "canServe"
  | "isReady"
  | "challengeTokens"
  | "ports"
  | "gates"
  | "nextId"
  | "trace"
  | "ruleFiles"
> {
  config: Config;
  files: PublicFolders;
  /** Returns the number that counts the requests of a place in a site (`observe/request-meters.ts`). */
  seriesOf: (site: string, place: keyof SiteSeries) => number;
  /** Returns the routes of a site by its name; `null`: it has none. */
  routesOf: (site: string) => RouteFinder | null;
  /** Returns the function that creates the responders of a site's proxies, under the settings of the site. */
  proxiesOf: (settings: Config) => (setting: ProxySetting) => Responder;
}

/** Creates all sites of a config. */
export function createSites(parts: SitesParts): HostTable<Site> {
  const [byDefault, ...others] = listSites(parts.config).map((site) => createSite(site, parts));
  if (byDefault === undefined) throw new TypeError("there is always a default site");
  const refuses = parts.config.unknownHost === "refuse";
  return new HostTable({
    entries: [byDefault, ...others].map((site) => ({ hosts: site.hosts, value: site })),
    otherwise: refuses ? createRefusal(parts) : byDefault,
  });
}

function createSite(
  site: SiteConfig,
  { config, files, routesOf, proxiesOf, seriesOf, ...rest }: SitesParts,
): Site {
  const settings = toSiteSettings(config, site);
  const series = toSeries(site.name, seriesOf);
  const proxyOf = proxiesOf(settings);
  const routes = routesOf(site.name);
  const { stages, standIns } = createStages({
    ...rest,
    name: site.name,
    config: settings,
    files: files.folderOf(settings),
    routes,
    proxyOf,
    series,
    transfer: TRANSFER_FIELDS.some((field) => field in site.own) ? settings : null,
  });
  routes?.useStandIn(createStandIn(standIns));
  return { name: site.name, hosts: site.hosts, stages, series: series.unmatched };
}

function toSeries(site: string, seriesOf: SitesParts["seriesOf"]): SiteSeries {
  return {
    unmatched: seriesOf(site, "unmatched"),
    files: seriesOf(site, "files"),
    proxy: seriesOf(site, "proxy"),
    rules: seriesOf(site, "rules"),
    server: seriesOf(site, "server"),
  };
}

const TRANSFER_FIELDS: readonly (keyof TransferLimits)[] = [
  "bodyTimeoutMs",
  "minBodyRateBytesPerSecond",
  "sendTimeoutMs",
];

/** Creates the site for unknown hosts. It answers 421 to every request that the first stages leave. */
function createRefusal(parts: SitesParts): Site {
  const series = toSeries("", parts.seriesOf);
  return {
    hosts: [],
    series: series.unmatched,
    stages: [
      ...createFirstStages({ ...parts, series }),
      labelled("unknownHost", (client) => {
        client.refuse(421);
        return "done";
      }),
    ],
  };
}

/** Returns the settings of all sites, those of the default site first. */
export function listSiteSettings(config: Config): Config[] {
  return listSites(config).map((site) => toSiteSettings(config, site));
}

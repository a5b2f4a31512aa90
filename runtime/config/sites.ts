import { join } from "node:path";
import { DEFAULT_POOL } from "../lib/pool-name.ts";
import type { Config } from "./config.ts";
import type { MountSetting } from "./mount-settings.ts";
import type { RuleSetting } from "./rule-settings.ts";
import type { SettingFields } from "./settings.ts";

/** Name of the default site, which answers for all hosts that no other site names. */
export const DEFAULT_SITE = "default";

/** The folder beside the config file that has a folder for each site. */
export const SITES_FOLDER = "sites";

/** A site of the server. Plain data. */
export interface SiteConfig {
  /** Its key in `sites` as a host name, for messages: `example.com`, `*.example.org`, `default`. */
  readonly name: string;
  /** Host names as `toHostName` returns them, the name first. The default site may have none. */
  readonly hosts: readonly string[];
  /** Absolute path of `sites/NAME`, whether it exists or not. */
  readonly dir: string;
  // The default site has the folders of the config.
  /** Absolute path of the folder of its handlers; `null`: none. */
  readonly handlersDir: string | null;
  /** Absolute path of the folder of its files; `null`: none. */
  readonly publicDir: string | null;
  /** Its certificates; `null`: those of the server. */
  readonly certs: SiteCertificates | null;
  /** The pool of its handlers that name none. */
  readonly pool: string;
  /** Number of workers of that pool, if no other site has it; `null`: as `pools` says. */
  readonly workers: number | null;
  /** Its Python applications. */
  readonly mounts: readonly MountSetting[];
  /** Its rules, which come after those of the top level. */
  readonly rules: readonly RuleSetting[];
  /** Path and query of the requests that each new worker must answer, at its first host. */
  readonly warmup: readonly string[];
  /** Settings that it has for itself, by field. All others are those of the top level. */
  readonly own: Readonly<Partial<SettingFields>>;
}

/** A folder of certificates, or the two files of one. Absolute paths. */
export type SiteCertificates =
  | { readonly dir: string }
  | { readonly certPath: string; readonly keyPath: string };

/** Returns the settings of a site: its own, and those of the top level for all others. */
export function toSiteSettings(config: Config, site: SiteConfig): Config {
  const rules = [...config.rules, ...site.rules];
  if (site.name === DEFAULT_SITE) return Object.freeze({ ...config, ...site.own, rules });
  const { publicDir } = site;
  // A site without handlers may get them in this folder.
  const handlersDir = site.handlersDir ?? join(site.dir, "handlers");
  // The host name and the upstream of the default site are not those of another.
  const notInherited = { publicDir, handlersDir, canonicalHost: null, proxy: null };
  return Object.freeze({ ...config, ...notInherited, ...site.own, rules });
}

/** Returns all sites, the default one first, with or without an entry in the config file. */
export function listSites({ sites }: Pick<Config, "sites">): SiteConfig[] {
  const entry = sites.find(({ name }) => name === DEFAULT_SITE);
  return [entry ?? PLAIN_DEFAULT, ...sites.filter((site) => site !== entry)];
}

/** Returns the public folders of all sites. Absolute paths. */
export function listPublicDirs(config: Pick<Config, "sites" | "publicDir">): string[] {
  const dirs = [config.publicDir, ...listNamedSites(config).map(({ publicDir }) => publicDir)];
  return [...new Set(dirs.flatMap((dir) => dir ?? []))];
}

/** Returns the sites beside the default one. */
export function listNamedSites({ sites }: Pick<Config, "sites">): SiteConfig[] {
  return sites.filter(({ name }) => name !== DEFAULT_SITE);
}

const PLAIN_DEFAULT: SiteConfig = Object.freeze({
  name: DEFAULT_SITE,
  hosts: [],
  dir: "",
  handlersDir: null,
  publicDir: null,
  certs: null,
  pool: DEFAULT_POOL,
  workers: null,
  mounts: [],
  rules: [],
  warmup: [],
  own: {},
});

/** Returns the certificates that sites have for themselves. */
export function listSiteCertificates({ sites }: Pick<Config, "sites">): SiteCertificates[] {
  return sites.flatMap(({ certs }) => certs ?? []);
}

/** Returns the pools of sites that `pools` does not name, with the number of their workers. */
export function listSitePools({
  sites,
  pools,
}: Pick<Config, "sites" | "pools">): { name: string; workers: number }[] {
  const found = new Map<string, number>();
  for (const { handlersDir, pool, workers } of sites) {
    if (handlersDir === null || pool === DEFAULT_POOL || Object.hasOwn(pools, pool)) continue;
    found.set(pool, workers ?? 1);
  }
  return [...found].map(([name, workers]) => ({ name, workers }));
}

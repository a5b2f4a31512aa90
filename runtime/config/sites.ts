import { type Dirent, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pickNearest } from "../lib/nearest.ts";
import type { Config } from "./config.ts";
import { HOST_NAME_EXPECTED, toHostName } from "./host-name.ts";
import {
  expectedOf,
  settingOf,
  SETTING_NAMES,
  SITE_SETTING_NAMES,
  type SettingFields,
} from "./settings.ts";

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
  /** Absolute path of the folder of its files; `null`: none. The default site has `publicDir` of the config. */
  readonly publicDir: string | null;
  /** Settings that it has for itself, by field. All others are those of the top level. */
  readonly own: Readonly<Partial<SettingFields>>;
}

export interface SitesResult {
  /** In order of their names. */
  sites: readonly SiteConfig[];
  /** `key` is a path, such as `sites["example.com"].bodyLimit`. */
  problems: { key: string; value: unknown; expected: string }[];
}

/**
 * Reads the sites of a server: those of the config file, and those that have a folder of their own in `sites/`.
 *
 * @param value The key `sites` of the config file.
 * @param folder Folder of the config file, or the working folder: paths are relative to it.
 */
export function readSites(value: unknown, folder: string): SitesResult {
  const reader = new SitesReader(folder);
  return reader.read(value);
}

/** Returns the settings of a site: its own, and those of the top level for all others. */
export function toSiteSettings(config: Config, site: SiteConfig): Config {
  const isDefault = site.name === DEFAULT_SITE;
  const publicDir = isDefault ? config.publicDir : site.publicDir;
  // The host name of the default site is not that of another.
  const canonicalHost = isDefault ? config.canonicalHost : null;
  return Object.freeze({ ...config, canonicalHost, ...site.own, publicDir });
}

/** Everything outside of `sites` is the default site: its folders are there. */
const DEFAULT_KEYS: readonly string[] = ["aliases", ...SITE_SETTING_NAMES];

const KNOWN_KEYS: readonly string[] = ["aliases", "public", ...SITE_SETTING_NAMES];

type Entry = Readonly<Record<string, unknown>>;

class SitesReader {
  readonly #folder: string;
  readonly #problems: SitesResult["problems"] = [];
  /** The key of the site that has a host name. */
  readonly #owners = new Map<string, string>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  read(value: unknown): SitesResult {
    const entries = new Map<string, { key: string; entry: Entry }>();
    if (!isEntry(value)) {
      this.#refuse("sites", value, 'an object: { "example.com": { public: "public-example" } }');
      return { sites: [], problems: this.#problems };
    }
    for (const [key, entry] of Object.entries(value)) {
      const path = `sites[${JSON.stringify(key)}]`;
      const name = toSiteName(key);
      if (name === null) this.#refuse(path, key, `${HOST_NAME_EXPECTED}, or "${DEFAULT_SITE}"`);
      else if (!isEntry(entry))
        this.#refuse(path, entry, 'an object: { public: "public-example" }');
      else if (this.#claim(name, path)) entries.set(name, { key: path, entry });
    }
    for (const name of listSiteFolders(this.#folder)) {
      const key = `sites[${JSON.stringify(name)}]`;
      if (!entries.has(name) && this.#claim(name, key)) entries.set(name, { key, entry: {} });
    }
    const sites = [...entries]
      .map(([name, { key, entry }]) => this.#readSite(name, key, entry))
      .toSorted((a, b) => (a.name < b.name ? -1 : 1));
    return { sites: Object.freeze(sites), problems: this.#problems };
  }

  #readSite(name: string, key: string, entry: Entry): SiteConfig {
    const known = name === DEFAULT_SITE ? DEFAULT_KEYS : KNOWN_KEYS;
    for (const each of Object.keys(entry)) {
      if (!known.includes(each)) this.#refuseUnknown(each, { known, key, value: entry[each] });
    }
    return Object.freeze({
      name,
      hosts: Object.freeze([
        ...(name === DEFAULT_SITE ? [] : [name]),
        ...this.#readAliases(entry["aliases"], `${key}.aliases`),
      ]),
      publicDir:
        name === DEFAULT_SITE
          ? null
          : this.#readFolder("public", { name, key, value: entry["public"] }),
      own: Object.freeze(this.#readSettings(entry, key)),
    });
  }

  #readAliases(value: unknown, key: string): string[] {
    if (value === undefined) return [];
    const aliases: unknown[] = Array.isArray(value) ? value : [value];
    return aliases.flatMap((alias, index) => {
      const place = Array.isArray(value) ? `${key}[${index}]` : key;
      const host = typeof alias === "string" ? toHostName(alias) : null;
      if (host === null) this.#refuse(place, alias, HOST_NAME_EXPECTED);
      return host !== null && this.#claim(host, place) ? [host] : [];
    });
  }

  /** Returns the folder that the entry names, else `sites/NAME/PART` if it is there; `null`: neither. */
  #readFolder(
    part: "public",
    { name, key, value }: { name: string; key: string; value: unknown },
  ): string | null {
    const usual = join(this.#folder, SITES_FOLDER, name, part);
    if (value === undefined) return isFolder(usual) ? usual : null;
    if (value === false || value === "off") return null;
    const path = typeof value === "string" && value !== "" ? resolve(this.#folder, value) : null;
    if (path !== null && isFolder(path)) return path;
    this.#refuse(`${key}.${part}`, value, 'a folder that exists, or "off"');
    return null;
  }

  #readSettings(entry: Entry, key: string): Partial<SettingFields> {
    const own: Record<string, unknown> = {};
    for (const name of SITE_SETTING_NAMES) {
      const value = entry[name];
      if (value === undefined) continue;
      const { field, type, isPath } = settingOf(name);
      const parsed = type.parse(value);
      if (parsed === null) {
        const member = type.explain?.(value) ?? { key: "", value, expected: expectedOf(name) };
        this.#refuse(`${key}.${name}${member.key}`, member.value, member.expected);
      } else if (isPath === true && typeof parsed.value === "string") {
        own[field] = resolve(this.#folder, parsed.value);
      } else own[field] = parsed.value;
    }
    return own; // Each value is of its setting's type.
  }

  #refuseUnknown(
    name: string,
    { known, key, value }: { known: readonly string[]; key: string; value: unknown },
  ): void {
    const isGlobal = [...SETTING_NAMES, ...KNOWN_KEYS].includes(name);
    const nearest = pickNearest(name, known);
    const expected = isGlobal
      ? `this key outside of "sites"`
      : nearest === null
        ? `one of ${known.join(", ")}`
        : `"${nearest}"`;
    this.#refuse(`${key}.${name}`, value, expected);
  }

  /** Notes the site of a host name. Refuses a name that another site has. */
  #claim(host: string, key: string): boolean {
    const owner = this.#owners.get(host);
    if (owner === undefined) {
      this.#owners.set(host, key);
      return true;
    }
    this.#refuse(key, host, `a host name that no other site has (${owner} has it)`);
    return false;
  }

  #refuse(key: string, value: unknown, expected: string): void {
    this.#problems.push({ key, value, expected });
  }
}

/** Returns the names of the sites that have a folder with `public/`. Other folders are none of ours. */
function listSiteFolders(folder: string): string[] {
  const root = join(folder, SITES_FOLDER);
  return readFolder(root)
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map(({ name }) => name)
    .filter((name) => toSiteName(name) === name && name !== DEFAULT_SITE)
    .filter((name) => isFolder(join(root, name, "public")))
    .toSorted();
}

function toSiteName(key: string): string | null {
  return key === DEFAULT_SITE ? DEFAULT_SITE : toHostName(key);
}

function readFolder(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch {
    // There is no such folder: most projects have one site.
    return [];
  }
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}

function isEntry(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

import { type Dirent, readdirSync, type Stats, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pickNearest } from "../lib/nearest.ts";
import { DEFAULT_POOL, isPoolName, POOL_NAME_EXPECTED } from "../lib/pool-name.ts";
import { HOST_NAME_EXPECTED, toHostName } from "./host-name.ts";
import { type MountSetting, readMounts } from "./mount-settings.ts";
import type { Refuse } from "./rule-reader.ts";
import { readRules } from "./rule-settings.ts";
import {
  expectedOf,
  settingOf,
  SETTING_NAMES,
  SITE_SETTING_NAMES,
  type SettingFields,
} from "./settings.ts";
import { DEFAULT_SITE, type SiteCertificates, type SiteConfig, SITES_FOLDER } from "./sites.ts";
import { readWarmUp } from "./warm-up-paths.ts";

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

/** Everything outside of `sites` is the default site: its folders are there. */
const DEFAULT_KEYS: readonly string[] = ["aliases", "rules", ...SITE_SETTING_NAMES];

const KNOWN_KEYS: readonly string[] = [
  "aliases",
  "handlers",
  "public",
  "certs",
  "pool",
  "workers",
  "app",
  "appDir",
  "python",
  "appKind",
  "threads",
  "mounts",
  "rules",
  "warmup",
  ...SITE_SETTING_NAMES,
];

type Entry = Readonly<Record<string, unknown>>;

class SitesReader {
  readonly #folder: string;
  readonly #problems: SitesResult["problems"] = [];
  /** The key of the site that has a host name. */
  readonly #owners = new Map<string, string>();
  /** Names of the pools that sites have for themselves. */
  readonly #pools = new Set<string>();

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
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, { key, entry }]) => this.#readSite(name, key, entry));
    return { sites: Object.freeze(sites), problems: this.#problems };
  }

  #readSite(name: string, key: string, entry: Entry): SiteConfig {
    const known = name === DEFAULT_SITE ? DEFAULT_KEYS : KNOWN_KEYS;
    for (const each of Object.keys(entry)) {
      if (!known.includes(each)) this.#refuseUnknown(each, { known, key, value: entry[each] });
    }
    const isDefault = name === DEFAULT_SITE;
    const place = { name, key };
    return Object.freeze({
      name,
      dir: join(this.#folder, SITES_FOLDER, name),
      hosts: Object.freeze([
        ...(name === DEFAULT_SITE ? [] : [name]),
        ...this.#readAliases(entry["aliases"], `${key}.aliases`),
      ]),
      handlersDir: isDefault ? null : this.#readFolder("handlers", place, entry["handlers"]),
      publicDir: isDefault ? null : this.#readFolder("public", place, entry["public"]),
      certs: isDefault ? null : this.#readCerts(entry["certs"], place),
      ...(isDefault ? { pool: DEFAULT_POOL, workers: null } : this.#readPool(entry, place)),
      mounts: Object.freeze(isDefault ? [] : this.#readMounts(entry, key)),
      rules: Object.freeze(
        readRules(entry["rules"] ?? [], {
          key: `${key}.rules`,
          folder: this.#folder,
          refuse: this.#refuse,
        }),
      ),
      warmup: Object.freeze(readWarmUp(entry["warmup"] ?? [], this.#refuseIn(key))),
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
    part: "handlers" | "public" | "certs",
    { name, key }: { name: string; key: string },
    value: unknown,
  ): string | null {
    const usual = join(this.#folder, SITES_FOLDER, name, part);
    if (value === undefined) return isFolder(usual) ? usual : null;
    if (value === false || value === "off") return null;
    const path = typeof value === "string" && value !== "" ? resolve(this.#folder, value) : null;
    if (path !== null && isFolder(path)) return path;
    this.#refuse(`${key}.${part}`, value, 'a folder that exists, or "off"');
    return null;
  }

  #readCerts(
    value: unknown,
    { name, key }: { name: string; key: string },
  ): SiteCertificates | null {
    if (!isEntry(value)) {
      const dir = this.#readFolder("certs", { name, key }, value);
      return dir === null ? null : Object.freeze({ dir });
    }
    const read = (part: "cert" | "key"): string => {
      const path = value[part];
      if (typeof path === "string" && isFile(resolve(this.#folder, path))) {
        return resolve(this.#folder, path);
      }
      this.#refuse(`${key}.certs.${part}`, path, "a file that exists, in PEM");
      return "";
    };
    for (const part of Object.keys(value)) {
      if (part !== "cert" && part !== "key") {
        this.#refuse(`${key}.certs.${part}`, value[part], '"cert" and "key"');
      }
    }
    return Object.freeze({ certPath: read("cert"), keyPath: read("key") });
  }

  /** The keys of the application for all paths hold for all mounts of the site, as at the top level. */
  #readMounts(entry: Entry, key: string): MountSetting[] {
    const { app, appDir: dir, python, appKind: kind, threads, workers, mounts = {} } = entry;
    const defaults = { dir, python, kind, threads };
    const own =
      app === undefined || app === "off" || app === false
        ? {}
        : {
            "/": {
              app,
              ...defaults,
              workers: entry["pool"] === undefined && isCount(workers) ? workers : undefined,
            },
          };
    const others = isEntry(mounts)
      ? Object.fromEntries(
          Object.entries(mounts).map(([path, mount]) => [path, withDefaults(mount, defaults)]),
        )
      : mounts;
    const folder = this.#folder;
    const refuse = this.#refuseIn(key);
    const refuseOwn = (part: string, value: unknown, expected: string): void =>
      refuse(OWN_NAMES[part.replace('mounts["/"].', "")] ?? part, value, expected);
    return [
      ...readMounts(own, { folder, refuse: refuseOwn }),
      ...readMounts(others, { folder, refuse }),
    ];
  }

  /** A site has a pool of its own, unless it names one that other sites may name as well. */
  #readPool(
    { pool, workers }: Entry,
    { name, key }: { name: string; key: string },
  ): Pick<SiteConfig, "pool" | "workers"> {
    const named = typeof pool === "string" && isPoolName(pool) ? pool : null;
    const isShared = pool !== undefined;
    if (isShared && named === null) this.#refuse(`${key}.pool`, pool, POOL_NAME_EXPECTED);
    if (workers !== undefined) {
      const expected = isShared
        ? `none here: pools.${named ?? "NAME"}.workers says it, for all sites of the pool`
        : "a whole number from 1 to 1024";
      if (isShared || !isCount(workers)) this.#refuse(`${key}.workers`, workers, expected);
    }
    return {
      pool: named ?? this.#toPoolName(name),
      workers: typeof workers === "number" ? workers : null,
    };
  }

  /** `www.example.com` is the pool `site-www-example-com`. */
  #toPoolName(site: string): string {
    const words = site
      .replace("*", "any")
      .split(/[^a-z0-9]+/)
      .filter(Boolean);
    const name = ["site", ...words].join("-").slice(0, 60);
    let unique = name;
    for (let number = 2; this.#pools.has(unique); number++) unique = `${name}-${number}`;
    this.#pools.add(unique);
    return unique;
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

  #refuseIn(key: string): Refuse {
    return (part, value, expected) => this.#refuse(`${key}.${part}`, value, expected);
  }

  readonly #refuse: Refuse = (key, value, expected) => {
    this.#problems.push({ key, value, expected });
  };
}

/** Returns the names of the sites that have a folder with `handlers/` or `public/`. Skips other folders. */
function listSiteFolders(folder: string): string[] {
  const root = join(folder, SITES_FOLDER);
  return readFolder(root)
    .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
    .map(({ name }) => name)
    .filter((name) => toSiteName(name) === name && name !== DEFAULT_SITE)
    .filter((name) => PARTS.some((part) => isFolder(join(root, name, part))))
    .toSorted();
}

/**
 * Returns the paths of the parts that each folder in `sites/` may have, whether they exist or not: `sites/NAME/handlers`.
 * A part that comes or goes changes the sites.
 *
 * @param folder Folder of the config file, or the working folder.
 */
export function listSitePlaces(folder: string): string[] {
  const root = join(folder, SITES_FOLDER);
  return readFolder(root)
    .filter(({ name }) => toSiteName(name) === name && name !== DEFAULT_SITE)
    .flatMap(({ name }) => [...PARTS, "certs"].map((part) => join(root, name, part)));
}

/** Names of the members of a mount, as a site has them for its application. */
const OWN_NAMES: Readonly<Record<string, string>> = {
  app: "app",
  dir: "appDir",
  python: "python",
  kind: "appKind",
  threads: "threads",
  workers: "workers",
};

function withDefaults(mount: unknown, defaults: Entry): unknown {
  if (typeof mount === "string") return { ...defaults, app: mount };
  return isEntry(mount) ? { ...defaults, ...mount } : mount;
}

const PARTS = ["handlers", "public"];

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

/** Tells whether a value is a number of workers. */
function isCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= 1024;
}

function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    // It lies in a folder that this user may not enter, or its name is too long: the server cannot use it.
    return undefined;
  }
}

function isFile(path: string): boolean {
  return lookAt(path)?.isFile() === true;
}

function isFolder(path: string): boolean {
  return lookAt(path)?.isDirectory() === true;
}

function isEntry(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

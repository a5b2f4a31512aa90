import { resolve } from "node:path";
import * as z from "zod/mini";
import type { AppKind } from "../channel/messages.ts";
import { pickNearest } from "../lib/nearest.ts";
import { isRecord, type Refuse } from "./rule-reader.ts";
import { readRules, type RuleSetting } from "./rule-settings.ts";
import { parseSizeBytes } from "./units.ts";
import { DEFAULT_POOL, isPoolName, POOL_NAME_EXPECTED } from "../lib/pool-name.ts";
import { readSites, type SiteConfig } from "./sites.ts";

/** Settings of one pool of workers. `null`: the server's own. */
export interface PoolSetting {
  readonly workers: number | null;
  /** Most exchanges that one of its workers has at a time. */
  readonly concurrency: number | null;
  /** Memory limit of each of its workers, in bytes; 0: none. */
  readonly memoryLimitBytes: number | null;
}

/** A Python application for a part of the paths. `null`: as for the application of all paths. */
export interface MountSetting {
  /** Without a slash at the end; `""`: all paths. */
  readonly mount: string;
  readonly app: string;
  /** Absolute. */
  readonly dir: string | null;
  /** Absolute, or a name to look for in `PATH`. */
  readonly python: string | null;
  readonly kind: AppKind | null;
  readonly threads: number | null;
  readonly workers: number | null;
}

/** Settings that only the config file has, since their values are more than a word. */
export interface FileSettings {
  readonly pools: Readonly<Record<string, PoolSetting>>;
  /** Path and query of each request. */
  readonly warmup: readonly string[];
  readonly mounts: readonly MountSetting[];
  /** Also those that have a folder and no entry in the config file. */
  readonly sites: readonly SiteConfig[];
  readonly rules: readonly RuleSetting[];
}

/** Keys of the config file that are neither flags nor variables. */
export const FILE_SETTING_NAMES = [
  "pools",
  "warmup",
  "mounts",
  "sites",
  "rules",
] as const satisfies readonly (keyof FileSettings)[];

export type FileSettingName = (typeof FILE_SETTING_NAMES)[number];

export type FileSettingsResult =
  | { ok: true; settings: FileSettings }
  /** Without the words before `key`, such as "Cannot use": `key` is a path, such as `pools.reports.workers`. */
  | { ok: false; problems: { key: string; value: unknown; expected: string }[] };

/**
 * Checks the values of these keys in the config file. A missing key is no problem.
 *
 * @param folder Folder of the config file, or the working folder: paths are relative to it.
 */
export function readFileSettings(
  values: Readonly<Partial<Record<FileSettingName, unknown>>>,
  folder: string,
): FileSettingsResult {
  const problems: { key: string; value: unknown; expected: string }[] = [];
  const refuse = (key: string, value: unknown, expected: string): void => {
    problems.push({ key, value, expected });
  };
  const sites = readSites(values.sites ?? {}, folder);
  const settings = {
    pools: Object.freeze(readPools(values.pools ?? {}, refuse)),
    warmup: Object.freeze(readWarmUp(values.warmup ?? [], refuse)),
    mounts: Object.freeze(readMounts(values.mounts ?? {}, { folder, refuse })),
    sites: sites.sites,
    rules: Object.freeze(readRules(values.rules ?? [], { key: "rules", folder, refuse })),
  };
  problems.push(...sites.problems);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, settings };
}

const POOL_KEYS = {
  workers: { schema: wholeNumber(1, 1024), expected: "a whole number from 1 to 1024" },
  concurrency: { schema: wholeNumber(1, 100_000), expected: "a whole number from 1 to 100000" },
  memoryLimit: {
    schema: memorySize(),
    expected: 'a size from 64mb to 1024gb, such as "512mb", or "off"',
  },
} as const;

type PoolKey = keyof typeof POOL_KEYS;

const POOL_KEY_NAMES = Object.keys(POOL_KEYS);

function readPools(value: unknown, refuse: Refuse): Record<string, PoolSetting> {
  const pools: Record<string, PoolSetting> = {};
  if (!isRecord(value)) {
    refuse("pools", value, "an object: { reports: { workers: 2 } }");
    return pools;
  }
  for (const [name, pool] of Object.entries(value)) {
    const key = `pools.${name}`;
    if (!isPoolName(name)) refuse(key, name, POOL_NAME_EXPECTED);
    else if (!isRecord(pool)) refuse(key, pool, "an object: { workers: 2 }");
    else pools[name] = readPool(pool, { key, name, refuse });
  }
  return pools;
}

function readPool(
  pool: Readonly<Record<string, unknown>>,
  { key, name, refuse }: { key: string; name: string; refuse: Refuse },
): PoolSetting {
  for (const unknown of Object.keys(pool)) {
    if (POOL_KEY_NAMES.includes(unknown)) continue;
    const nearest = pickNearest(unknown, POOL_KEY_NAMES);
    const hint = nearest === null ? POOL_KEY_NAMES.join(" or ") : `"${nearest}"`;
    refuse(`${key}.${unknown}`, pool[unknown], hint);
  }
  const read = (part: PoolKey): number | null => {
    const value = pool[part];
    if (value === undefined) return null;
    const { schema, expected } = POOL_KEYS[part];
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    refuse(`${key}.${part}`, value, expected);
    return null;
  };
  if (name === DEFAULT_POOL && pool["workers"] !== undefined) {
    // The default pool has a flag and a variable for it.
    refuse(`${key}.workers`, pool["workers"], 'none here: the key "workers" says it');
  }
  return Object.freeze({
    workers: read("workers"),
    concurrency: read("concurrency"),
    memoryLimitBytes: read("memoryLimit"),
  });
}

/** Segments of plain characters: a mount is compared with the start of a path. */
const MOUNT = /^(?:\/[\w.~-]+)*\/?$/;

const MOUNT_KEYS = {
  app: {
    schema: z.string().check(z.regex(/^[^\s:]+(?::.+)?$/)),
    expected: 'a Python module and a name in it, such as "api.main:app"',
  },
  dir: { schema: z.string().check(z.minLength(1)), expected: "a folder" },
  python: { schema: z.string().check(z.minLength(1)), expected: "an interpreter" },
  kind: { schema: z.enum(["auto", "wsgi", "asgi"]), expected: '"auto", "wsgi" or "asgi"' },
  threads: { schema: wholeNumber(1, 1024), expected: "a whole number from 1 to 1024" },
  workers: { schema: wholeNumber(1, 1024), expected: "a whole number from 1 to 1024" },
} as const;

const MOUNT_KEY_NAMES = Object.keys(MOUNT_KEYS);

function readMounts(
  value: unknown,
  { folder, refuse }: { folder: string; refuse: Refuse },
): MountSetting[] {
  if (!isRecord(value)) {
    refuse("mounts", value, 'an object: { "/api": { app: "api.main:app" } }');
    return [];
  }
  return Object.entries(value).flatMap(([path, mount]) => {
    const key = `mounts[${JSON.stringify(path)}]`;
    if (!path.startsWith("/") || !MOUNT.test(path)) {
      refuse(key, path, 'a path such as "/api", of letters, digits and "-._~"');
      return [];
    }
    const own = typeof mount === "string" ? { app: mount } : mount;
    if (!isRecord(own)) {
      refuse(key, mount, 'an object: { app: "api.main:app" }');
      return [];
    }
    return [readMount(own, { path, key, folder, refuse })];
  });
}

function readMount(
  own: Readonly<Record<string, unknown>>,
  { path, key, folder, refuse }: { path: string; key: string; folder: string; refuse: Refuse },
): MountSetting {
  for (const unknown of Object.keys(own)) {
    if (MOUNT_KEY_NAMES.includes(unknown)) continue;
    const nearest = pickNearest(unknown, MOUNT_KEY_NAMES);
    refuse(
      `${key}.${unknown}`,
      own[unknown],
      nearest === null ? MOUNT_KEY_NAMES.join(", ") : `"${nearest}"`,
    );
  }
  const read = <Key extends keyof typeof MOUNT_KEYS>(
    part: Key,
  ): z.output<(typeof MOUNT_KEYS)[Key]["schema"]> | null => {
    const value = own[part];
    if (value === undefined && part !== "app") return null;
    const { schema, expected } = MOUNT_KEYS[part];
    const parsed = schema.safeParse(value);
    // The type is that of this key's schema.
    if (parsed.success) return parsed.data as z.output<(typeof MOUNT_KEYS)[Key]["schema"]>;
    refuse(`${key}.${part}`, value, expected);
    return null;
  };
  const dir = read("dir");
  const python = read("python");
  return Object.freeze({
    mount: path.replace(/\/$/, ""),
    app: read("app") ?? "",
    dir: dir === null ? null : resolve(folder, dir),
    python: python?.includes("/") === true ? resolve(folder, python) : python,
    kind: read("kind"),
    threads: read("threads"),
    workers: read("workers"),
  });
}

const MOST_WARM_UPS = 100;

/** A target of a request line: visible ASCII. */
const TARGET = /^\/[!-~]*$/;

function readWarmUp(value: unknown, refuse: Refuse): string[] {
  if (!Array.isArray(value) || value.length > MOST_WARM_UPS) {
    refuse("warmup", value, `a list of at most ${MOST_WARM_UPS} paths: ["/"]`);
    return [];
  }
  return value.filter((path: unknown, index): path is string => {
    if (typeof path === "string" && TARGET.test(path)) return true;
    refuse(`warmup[${index}]`, path, 'a path that begins with "/", encoded as in a URL');
    return false;
  });
}

function wholeNumber(least: number, most: number): z.ZodMiniType<number, number> {
  return z.int().check(z.minimum(least), z.maximum(most));
}

/** A limit in bytes; 0 for none. */
function memorySize(): z.ZodMiniType<number> {
  const off = z.pipe(
    z.literal(["off", false]),
    z.transform(() => 0),
  );
  const parsed = z.pipe(
    z.pipe(
      z.string(),
      z.transform((value: string) => parseSizeBytes(value)),
    ),
    z.number(),
  );
  return z.union([
    off,
    z.pipe(z.union([z.number(), parsed]), wholeNumber(64 * 1024 ** 2, 1024 ** 4)),
  ]);
}

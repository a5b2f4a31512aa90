import * as z from "zod/mini";
import { pickNearest } from "../lib/nearest.ts";
import { isRecord, type Refuse } from "./rule-reader.ts";
import { readRules, type RuleSetting } from "./rule-settings.ts";
import { parseSizeBytes } from "./units.ts";
import { DEFAULT_POOL, isPoolName, POOL_NAME_EXPECTED } from "../lib/pool-name.ts";
import { type MountSetting, readMounts } from "./mount-settings.ts";
import { type AcmeSetting, readAcme } from "./acme.ts";
import type { BindingSetting, StoreSetting } from "../lib/binding-settings.ts";
import { readBindings, readEnvVariables, readStores } from "./binding-settings.ts";
import { readSites } from "./read-sites.ts";
import type { SiteConfig } from "./sites.ts";
import { readUpstreams, type UpstreamGroupSetting } from "./upstream-settings.ts";
import { readWarmUp } from "./warm-up-paths.ts";

/** Settings of one pool of workers. `null`: the server's own. */
export interface PoolSetting {
  readonly workers: number | null;
  /** Most exchanges that one of its workers has at a time. */
  readonly concurrency: number | null;
  /** Memory limit of each of its workers, in bytes; 0: none. */
  readonly memoryLimitBytes: number | null;
  /** The server is ready for traffic without a worker of this pool. */
  readonly optional: boolean;
}

/** Settings that only the config file has, since their values are more than a word. */
export interface FileSettings {
  readonly pools: Readonly<Record<string, PoolSetting>>;
  /** Path and query of each request. */
  readonly warmup: readonly string[];
  readonly mounts: readonly MountSetting[];
  /** Also those that have a folder and no entry in the config file. */
  readonly sites: readonly SiteConfig[];
  /** `null`: the server orders no certificates. */
  readonly acme: AcmeSetting | null;
  readonly rules: readonly RuleSetting[];
  /** Groups of upstream servers. */
  readonly upstreams: readonly UpstreamGroupSetting[];
  /** Values of `env`. */
  readonly bindings: readonly BindingSetting[];
  /** Stores of bindings, the default one among them. */
  readonly stores: readonly StoreSetting[];
  /** Names of environment variables that `env` has; `null`: all. */
  readonly envVariables: readonly string[] | null;
}

/** Keys of the config file that are neither flags nor variables. */
export const FILE_SETTING_NAMES = [
  "pools",
  "warmup",
  "mounts",
  "sites",
  "acme",
  "rules",
  "upstreams",
  "bindings",
  "stores",
  "envVariables",
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
    acme: readAcme(values.acme, refuse),
    rules: Object.freeze(readRules(values.rules ?? [], { key: "rules", folder, refuse })),
    upstreams: Object.freeze(
      readUpstreams(values.upstreams ?? {}, { key: "upstreams", folder, refuse }),
    ),
    bindings: Object.freeze(readBindings(values.bindings, { folder, refuse })),
    stores: Object.freeze(readStores(values.stores, { folder, refuse })),
    envVariables: readEnvVariables(values.envVariables, refuse),
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
  optional: { schema: z.boolean(), expected: "true or false" },
} as const;

type PoolKey = keyof typeof POOL_KEYS;

type PoolValue<Key extends PoolKey> = z.output<(typeof POOL_KEYS)[Key]["schema"]>;

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
  const read = <Key extends PoolKey>(part: Key): PoolValue<Key> | null => {
    const value = pool[part];
    if (value === undefined) return null;
    const { schema, expected } = POOL_KEYS[part];
    const parsed = schema.safeParse(value);
    // The schema of this key.
    if (parsed.success) return parsed.data as PoolValue<Key>;
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
    optional: read("optional") ?? false,
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

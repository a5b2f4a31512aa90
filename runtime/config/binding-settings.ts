import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { BindingSetting, BindingValue, StoreSetting } from "../lib/binding-settings.ts";
import { isPoolName, POOL_NAME_EXPECTED } from "../lib/pool-name.ts";
import { toHostName } from "./host-name.ts";
import type { Duration } from "./quantities.ts";
import { isRecord, type Refuse, refuseUnknown } from "./rule-reader.ts";
import { duration } from "./setting-types.ts";
import { DEFAULT_SITE } from "./sites.ts";

/** Name of the store of bindings that name none. It need not be in the config. */
export const DEFAULT_STORE = "default";

/** A value of `env` in the config file: a text, or an object with one of the kinds. */
export type UserBinding =
  | string
  | (UserBindingValue & {
      /** The pools whose workers have it. Default: all. */
      pools?: readonly string[];
      /** The sites whose handlers have it, by their names in `sites`, or `"default"`. Default: all. */
      sites?: readonly string[];
      /** A key of `stores`. Default: `"default"`, which is in the state folder. */
      store?: string;
    });

export type UserBindingValue =
  /** A text. */
  | { var: string }
  /** A number, `true`, a list, an object or another value of JSON. */
  | { json: unknown }
  /** A file whose content is the text, without the end of its last line. */
  | { secret: string }
  /** Name of a namespace of keys and values. */
  | { kv: string }
  /** Name of a group of numbers that all workers share. */
  | { counter: string }
  /** Name of a group of locks. */
  | { lock: string }
  /** A site by its name in `sites`, or `"default"`: its handlers answer `fetch()`. */
  | { service: string }
  /** Files of the public folder: `true`: of the site of the handler; or a site by its name, or `"default"`. */
  | { assets: true | string }
  /** Name of a queue of messages, or an object with its name and the most messages that it holds. Default: 100,000. */
  | { queue: string | { name: string; limit?: number } }
  /** Calls that are admitted for each key in each period. */
  | { rateLimit: { limit: number; period: Duration } };

/** A store of bindings in the config file: a file in the state folder, or a server of Redis or Valkey. */
export type UserStore =
  | {
      /** `"process"`: a write outlives a crash of the server; `"disk"`: also one of the machine. Default: `"process"`. */
      durability?: "process" | "disk";
    }
  | {
      /** `"redis://user:password@host:6379/0"`, `"rediss://..."` with TLS, `"unix:/run/redis.sock"`. */
      redis: string;
      /** Goes before all names in Redis. Default: `"edgicorn"`. */
      prefix?: string;
      /** Longest time for a connection, and for the answer to a command. Default: `"5s"`. */
      timeout?: Duration;
    };

interface Place {
  /** Folder of the config file: paths are relative to it. */
  folder: string;
  refuse: Refuse;
}

const KINDS = [
  "var",
  "json",
  "secret",
  "kv",
  "counter",
  "lock",
  "queue",
  "rateLimit",
  "service",
  "assets",
] as const;
const SCOPES = ["pools", "sites", "store"] as const;
const WITH_STORE: readonly string[] = ["kv", "counter", "lock", "queue", "rateLimit"];

/** The names that JavaScript lets a program write after a dot. */
const NAME = /^[A-Za-z_$][\w$]*$/;
const SPACE = /^[\w.-]{1,64}$/;
const SPACE_EXPECTED = "a name of letters, digits, dots, dashes and underscores, up to 64";

/** Checks the key `bindings`. Reads the files of secrets. No message has a value that may be a secret. */
export function readBindings(value: unknown, place: Place): BindingSetting[] {
  if (value === undefined) return [];
  if (!isRecord(value)) {
    place.refuse("bindings", value, 'an object: { SESSIONS: { kv: "sessions" } }');
    return [];
  }
  return Object.entries(value).flatMap(([name, each]) => {
    const key = `bindings.${name}`;
    if (!NAME.test(name)) {
      place.refuse(key, name, "a name of letters, digits and underscores, such as SESSIONS");
      return [];
    }
    const binding = readBinding(name, each, { ...place, key });
    return binding === null ? [] : [Object.freeze(binding)];
  });
}

function readBinding(
  name: string,
  value: unknown,
  { key, folder, refuse }: Place & { key: string },
): BindingSetting | null {
  if (typeof value === "string") {
    return { name, pools: null, sites: null, value: { kind: "var", text: value } };
  }
  const kinds = isRecord(value) ? KINDS.filter((kind) => value[kind] !== undefined) : [];
  const [kind] = kinds;
  if (!isRecord(value) || kind === undefined || kinds.length > 1) {
    const found = isRecord(value) ? `an object with ${Object.keys(value).join(", ")}` : value;
    refuse(key, found, `a text, or an object with one of ${KINDS.join(", ")}: { kv: "sessions" }`);
    return null;
  }
  refuseUnknown(value, [kind, ...SCOPES], { key, refuse: hiding(refuse) });
  const pools = readNames(value["pools"], `${key}.pools`, {
    refuse,
    parse: (each) => (isPoolName(each) ? each : null),
    expected: `a list of pools, and for each ${POOL_NAME_EXPECTED}`,
  });
  const sites = readNames(value["sites"], `${key}.sites`, {
    refuse,
    parse: toSiteName,
    expected: 'a list of names in "sites", or "default"',
  });
  const { store = DEFAULT_STORE } = value;
  if (typeof store !== "string" || !SPACE.test(store)) {
    refuse(`${key}.store`, store, 'a key of "stores"');
    return null;
  }
  if (value["store"] !== undefined && !WITH_STORE.includes(kind)) {
    refuse(`${key}.store`, store, `none here: ${kind} needs no store`);
  }
  const own = readValue(kind, value[kind], { key: `${key}.${kind}`, name, store, folder, refuse });
  return own === null ? null : { name, pools, sites, value: Object.freeze(own) };
}

function readValue(
  kind: (typeof KINDS)[number],
  value: unknown,
  place: Place & { key: string; name: string; store: string },
): BindingValue | null {
  const { key, name, store, refuse } = place;
  switch (kind) {
    case "var":
      if (typeof value === "string") return { kind, text: value };
      refuse(key, typeof value, "a text");
      return null;
    case "json":
      if (JSON.stringify(value) !== undefined) return { kind, data: value };
      refuse(key, typeof value, "a value of JSON");
      return null;
    case "secret":
      return readSecret(value, place);
    case "queue":
      return readQueue(value, { key, store, refuse });
    case "rateLimit":
      return readRateLimit(value, { key, space: name, store, refuse });
    case "service": {
      const site = toSiteName(value);
      if (site === null) refuse(key, value, 'the name of a site in "sites", or "default"');
      return site === null ? null : { kind, site };
    }
    case "assets": {
      const site = value === true ? null : toSiteName(value);
      if (value === true || site !== null) return { kind, site };
      refuse(key, value, 'true, the name of a site in "sites", or "default"');
      return null;
    }
    case "kv":
    case "counter":
    case "lock":
      if (typeof value === "string" && SPACE.test(value)) return { kind, space: value, store };
      refuse(key, value, SPACE_EXPECTED);
      return null;
  }
}

function readSecret(
  value: unknown,
  { key, folder, refuse }: Place & { key: string },
): BindingValue | null {
  if (typeof value !== "string" || value === "" || /[\n\0]/.test(value)) {
    // The operator may have written the secret itself.
    refuse(key, "(hidden)", "the path of a file that has the secret");
    return null;
  }
  const file = resolve(folder, value);
  try {
    const secret = readFileSync(file, "utf8").replace(/\r?\n$/, "");
    return { kind: "secret", secret, file };
  } catch (error) {
    // Errors of the file system have a code.
    const { code = "an error" } = error as NodeJS.ErrnoException;
    refuse(key, code, "the path of a file that has the secret and that this user may read");
    return null;
  }
}

/** Most messages of a queue whose setting has no limit, and of any queue. */
export const QUEUE_LIMIT = 100_000;
const MOST_QUEUE_LIMIT = 10_000_000;

function readQueue(
  value: unknown,
  { key, store, refuse }: { key: string; store: string; refuse: Refuse },
): BindingValue | null {
  if (typeof value === "string") return readQueue({ name: value }, { key, store, refuse });
  if (!isRecord(value)) {
    refuse(key, value, `${SPACE_EXPECTED}, or an object: { name: "jobs", limit: 50000 }`);
    return null;
  }
  refuseUnknown(value, ["name", "limit"], { key, refuse });
  const { name, limit = QUEUE_LIMIT } = value;
  const isName = typeof name === "string" && SPACE.test(name);
  if (!isName) refuse(`${key}.name`, name, SPACE_EXPECTED);
  const isLimit =
    Number.isSafeInteger(limit) && Number(limit) >= 1 && Number(limit) <= MOST_QUEUE_LIMIT;
  if (!isLimit) refuse(`${key}.limit`, limit, `a whole number from 1 to ${MOST_QUEUE_LIMIT}`);
  return isName && isLimit ? { kind: "queue", space: name, store, limit: Number(limit) } : null;
}

function readRateLimit(
  value: unknown,
  { key, space, store, refuse }: { key: string; space: string; store: string; refuse: Refuse },
): BindingValue | null {
  if (!isRecord(value)) {
    refuse(key, value, 'an object: { limit: 100, period: "60s" }');
    return null;
  }
  refuseUnknown(value, ["limit", "period"], { key, refuse });
  const { limit, period } = value;
  const isCount = Number.isSafeInteger(limit) && Number(limit) >= 1;
  if (!isCount) refuse(`${key}.limit`, limit, "a whole number from 1");
  const type = duration(1_000, 24 * 3_600_000);
  const parsed = type.parse(period);
  if (parsed === null) refuse(`${key}.period`, period, type.expected);
  if (!isCount || parsed === null) return null;
  return { kind: "rateLimit", space, store, limit: Number(limit), periodMs: parsed.value };
}

function toSiteName(value: unknown): string | null {
  if (typeof value !== "string") return null;
  return value === DEFAULT_SITE ? value : toHostName(value);
}

function readNames(
  value: unknown,
  key: string,
  {
    refuse,
    parse,
    expected,
  }: { refuse: Refuse; parse: (text: string) => string | null; expected: string },
): readonly string[] | null {
  if (value === undefined) return null;
  const names = Array.isArray(value) && value.length > 0 ? value : [null];
  const parsed = names.map((each: unknown) => (typeof each === "string" ? parse(each) : null));
  if (parsed.every((each) => each !== null)) return Object.freeze(parsed);
  refuse(key, value, expected);
  return null;
}

/** Checks the key `stores`. The default store is always among the results. */
export function readStores(value: unknown, { refuse }: Place): StoreSetting[] {
  const plain: StoreSetting = { kind: "embedded", name: DEFAULT_STORE, durability: "process" };
  if (value === undefined) return [plain];
  if (!isRecord(value)) {
    refuse("stores", value, 'an object: { default: { durability: "disk" } }');
    return [plain];
  }
  const stores = Object.entries(value).flatMap(([name, each]) => {
    const key = `stores.${name}`;
    if (!SPACE.test(name)) refuse(key, name, SPACE_EXPECTED);
    const store = SPACE.test(name) ? readStore(name, each, { key, refuse }) : null;
    return store === null ? [] : [Object.freeze(store)];
  });
  return stores.some(({ name }) => name === DEFAULT_STORE) ? stores : [plain, ...stores];
}

function readStore(
  name: string,
  value: unknown,
  { key, refuse }: { key: string; refuse: Refuse },
): StoreSetting | null {
  if (!isRecord(value)) {
    // A text may be a URL with a password.
    refuse(key, "(hidden)", 'an object: { durability: "disk" }, or { redis: "redis://..." }');
    return null;
  }
  if (value["redis"] !== undefined) return readRedis(name, value, { key, refuse });
  refuseUnknown(value, ["durability", "redis"], { key, refuse: hiding(refuse) });
  const { durability = "process" } = value;
  if (durability === "process" || durability === "disk") {
    return { kind: "embedded", name, durability };
  }
  refuse(`${key}.durability`, durability, '"process" or "disk"');
  return null;
}

/** Refuses without the value: under a wrong key, it may be a password. */
function hiding(refuse: Refuse): Refuse {
  return (key, _, expected) => refuse(key, "(hidden)", expected);
}

function readRedis(
  name: string,
  value: Readonly<Record<string, unknown>>,
  { key, refuse }: { key: string; refuse: Refuse },
): StoreSetting | null {
  refuseUnknown(value, ["redis", "prefix", "timeout"], { key, refuse: hiding(refuse) });
  const { redis: url, prefix = "edgicorn", timeout = "5s" } = value;
  const isAddress = typeof url === "string" && isRedisUrl(url);
  if (!isAddress) {
    // It may have a password.
    refuse(
      `${key}.redis`,
      "(hidden)",
      'a URL such as "redis://127.0.0.1:6379", "rediss://user:password@host:6379/0" or "unix:/run/redis.sock"',
    );
  }
  const isPrefix = typeof prefix === "string" && SPACE.test(prefix);
  if (!isPrefix) refuse(`${key}.prefix`, prefix, SPACE_EXPECTED);
  const type = duration(10, 60_000);
  const time = type.parse(timeout);
  if (time === null) refuse(`${key}.timeout`, timeout, type.expected);
  if (!isAddress || !isPrefix || time === null) return null;
  return { kind: "redis", name, url, prefix, timeoutMs: time.value };
}

function isRedisUrl(text: string): boolean {
  if (text.startsWith("unix:/")) return true;
  const url = URL.canParse(text) ? new URL(text) : null;
  return url !== null && /^rediss?:$/.test(url.protocol) && url.hostname !== "";
}

/** Checks the key `envVariables`. `null`: all variables. */
export function readEnvVariables(value: unknown, refuse: Refuse): readonly string[] | null {
  if (value === undefined || value === "all") return null;
  const isList =
    Array.isArray(value) &&
    value.every((each) => typeof each === "string" && /^[^\s=*]+\*?$|^\*$/.test(each));
  if (isList) return Object.freeze([...(value as readonly string[])]); // Each is a string.
  refuse("envVariables", value, '"all", or a list of names: ["DATABASE_URL", "APP_*"]');
  return null;
}

/** Returns a problem for each queue that two bindings keep in different stores, or with different limits. */
export function findQueueProblems(bindings: readonly BindingSetting[]): string[] {
  const first = new Map<string, { name: string; store: string; limit: number }>();
  return bindings.flatMap(({ name, value }) => {
    if (value.kind !== "queue") return [];
    const { space, store, limit } = value;
    const before = first.get(space);
    if (before === undefined) first.set(space, { name, store, limit });
    if (before === undefined || (before.store === store && before.limit === limit)) return [];
    return [
      `Cannot use bindings.${name}: found the queue "${space}" with the store "${store}" and the limit ${limit}, expected those of bindings.${before.name}: "${before.store}" and ${before.limit}`,
    ];
  });
}

/** Returns a problem for each binding that names a store or a site that the config does not have. */
export function findBindingProblems({
  bindings,
  stores,
  sites,
}: {
  bindings: readonly BindingSetting[];
  stores: readonly StoreSetting[];
  sites: readonly { name: string }[];
}): string[] {
  const storeNames = stores.map(({ name }) => name);
  const siteNames = [DEFAULT_SITE, ...sites.map(({ name }) => name)];
  return bindings.flatMap(({ name, sites: own, value }) => [
    ...("store" in value && !storeNames.includes(value.store)
      ? [
          `Cannot use bindings.${name}.store: found "${value.store}", expected one of ${storeNames.join(", ")}, or a store of this name in "stores"`,
        ]
      : []),
    ...("site" in value && value.site !== null && !siteNames.includes(value.site)
      ? [
          `Cannot use bindings.${name}.${value.kind}: found "${value.site}", expected the name of a site: ${siteNames.join(", ")}`,
        ]
      : []),
    ...(own ?? [])
      .filter((site) => !siteNames.includes(site))
      .map(
        (site) =>
          `Cannot use bindings.${name}.sites: found "${site}", expected names of sites: ${siteNames.join(", ")}`,
      ),
  ]);
}

/** Returns a problem if the store of a setting such as `relayStore` is not there, or is not shared by several machines. */
export function findSharedStoreProblem(
  name: string | null,
  { stores, label }: { stores: readonly StoreSetting[]; label: string },
): string[] {
  const shared = stores.filter(({ kind }) => kind === "redis").map((store) => store.name);
  if (name === null || shared.includes(name)) return [];
  const choice = shared.length === 0 ? "" : `one of ${shared.join(", ")}, or `;
  return [
    `Cannot use ${label}: found "${name}", expected ${choice}a store with Redis in "stores": { shared: { redis: "redis://..." } }`,
  ];
}

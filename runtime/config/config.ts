import { dirname, resolve } from "node:path";
import { type AppSetting, type FileAppSettings, findPython, toApps } from "./apps.ts";
import { availableCpus } from "./available-cpus.ts";
import { availableMemoryBytes } from "./available-memory.ts";
import { type ConfigFile, describeValue, findConfigFile, loadConfigFile } from "./config-file.ts";
import { defaultMemoryLimit } from "./memory-limit.ts";
import {
  FILE_SETTING_NAMES,
  type FileSettings,
  type PoolSetting,
  readFileSettings,
} from "./file-settings.ts";
import { readEnvFiles } from "./env-files.ts";
import { findConfigProblems } from "./config-problems.ts";
import { isFolder } from "./is-folder.ts";
import { findOrigins, type Origins, toLabels } from "./origins.ts";
import { findByOtherName, whyMissing } from "./other-names.ts";
import { pickNearest } from "../lib/nearest.ts";
import { DEFAULT_POOL } from "../lib/pool-name.ts";
import {
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  settingOf,
  type SettingFields,
  type SettingValue,
  expectedOf,
} from "./settings.ts";
import type { AcmeSetting } from "./acme.ts";
import type { AdminAddress } from "./admin-setting.ts";
import { readToken } from "./admin-token.ts";
import { listSitePools, type SiteConfig } from "./sites.ts";
import type { BindingSetting, StoreSetting } from "../lib/binding-settings.ts";
import type { RuleSetting } from "./rule-settings.ts";
import type { UpstreamGroupSetting } from "./upstream-settings.ts";
import { RuntimeError } from "../lib/errors.ts";

/** All settings after their check. Plain data, frozen: the primary sends it to workers as it is. */
export interface Config extends SettingFields {
  readonly mode: "production" | "development";
  /** Fields whose values are derived from other settings or from the machine. The operator did not ask for their changes. */
  readonly automatic: readonly AutomaticField[];
  /** The sources of settings that are set: `--http`, `EDGICORN_HTTP`, `EDGICORN_HTTP in .env`, `http in edgicorn.config.ts`. */
  readonly origins: Readonly<Partial<Record<SettingName, string>>>;
  /** Absolute path of the config file, or `null` if there is none. */
  readonly configFile: string | null;
  /** Absolute paths of the files from which `variables` were read. */
  readonly envFiles: readonly string[];
  /** Environment variables from files, for workers and for the config file. Secrets: never logged. */
  readonly variables: Readonly<Record<string, string>>;
  /** The pools that the config file names, by their name. */
  readonly pools: Readonly<Record<string, PoolSetting>>;
  /** Path and query of the requests that each new worker must answer before it serves. */
  readonly warmup: readonly string[];
  /** The Python applications, from `app` and `mounts`. */
  readonly apps: readonly AppSetting[];
  /** The sites beside the default one, by their names; an entry `default` has more host names of the default site. */
  readonly sites: readonly SiteConfig[];
  /** Orders of certificates; `null`: none. */
  readonly acme: AcmeSetting | null;
  /** The rules for requests, in their order. */
  readonly rules: readonly RuleSetting[];
  /** The groups of upstream servers that the config file names. */
  readonly upstreams: readonly UpstreamGroupSetting[];
  /** Values of `env` that the config file declares. Some are secrets: never logged. */
  readonly bindings: readonly BindingSetting[];
  /** The stores of the bindings. */
  readonly stores: readonly StoreSetting[];
  /** Names of environment variables that `env` has, with `*` at the end for all that begin so; `null`: all. */
  readonly envVariables: readonly string[] | null;
  /** Settings of the Python applications that are files among the handlers. */
  readonly fileApps: FileAppSettings;
}

export type AutomaticField = "workers" | "maxWorkers" | "workerMemoryLimitBytes" | "maxConnections";

/** Flags as the operator typed them. `config` and `envFile` name sources of other settings. */
export type Flags = Readonly<Partial<Record<FlagName, string>>>;

export type FlagName = SettingName | "config" | "envFile";

export interface ConfigSources {
  mode: Config["mode"];
  flags: Flags;
  env: Readonly<Record<string, string | undefined>>;
  /** Absolute; paths in flags and in the environment are relative to it. */
  cwd: string;
  /** When it aborts, the load is given up. */
  signal?: AbortSignal;
}

/**
 * Merges flags, environment, files of variables, config file and defaults, in this order of precedence, and checks the result.
 *
 * An empty environment variable counts as not set.
 *
 * @throws ERR_CONFIG whose message has one line per problem: the source, the value found, the value expected.
 */
export async function loadConfig(given: ConfigSources): Promise<Config> {
  const envSources = { ...given, flag: given.flags.envFile };
  const { files: envFiles, variables, places } = readEnvFiles(envSources);
  const sources = { ...given, env: { ...variables, ...given.env }, variables };
  const file = await readConfigFile(sources);
  const unknownKeys = file === null ? [] : findUnknownKeys(file);

  const origins = findOrigins(sources, file);
  const parsed = parseSettings(origins);
  const fromFile = pickFileSettings(file, sources.cwd);
  // The other checks need valid values.
  if (!parsed.ok || !fromFile.ok) {
    const wrong = [parsed, fromFile].flatMap((result) => (result.ok ? [] : result.problems));
    throw refusal([...unknownKeys, ...wrong]);
  }
  const { values } = parsed;
  const token = readToken("adminToken", values.adminToken, origins.adminToken);
  const timingToken = readToken(
    "serverTimingToken",
    values.serverTimingToken,
    origins.serverTimingToken,
  );
  const wrongTokens = [token, timingToken].flatMap((each) =>
    "problem" in each ? each.problem : [],
  );
  if ("problem" in token || "problem" in timingToken) {
    throw refusal([...unknownKeys, ...wrongTokens]);
  }
  const fileSettings = fromFile.settings;
  const publicDir = values.public;
  const hasPublic = publicDir !== null && isFolder(publicDir);
  const workers = values.workers === "auto" ? Math.max(2, availableCpus() - 1) : values.workers;
  const maxWorkers = values.maxWorkers ?? workers;
  const python = toPython(values.python, origins.python.baseDir);
  const { env } = sources;
  const apps = [
    ...toApps({ ...values, python }, fileSettings.mounts, { env }),
    ...fileSettings.sites.flatMap(({ name: site, mounts }) =>
      toApps({ ...values, python, app: null }, mounts, { env, site }),
    ),
  ];
  // As in `planPools`: a pool without a number has one worker. `maxWorkers` counts those of the default pool already.
  const workersOfPools = Object.entries(fileSettings.pools).map(([name, pool]) =>
    name === DEFAULT_POOL ? 0 : (pool.workers ?? 1),
  );
  const workersOfApps = apps.map((app) => app.workers ?? maxWorkers);
  const workersOfSites = listSitePools(fileSettings).map(({ workers: count }) => count);
  const others = [...workersOfApps, ...workersOfSites];
  const allWorkers = [...workersOfPools, ...others].reduce(
    (sum, count) => sum + count,
    others.length > 0 && !isFolder(values.handlers) ? 0 : maxWorkers,
  );

  const automatic: AutomaticField[] = [];
  if (values.workers === "auto") automatic.push("workers");
  if (values.maxWorkers === null) automatic.push("maxWorkers");
  if (values.workerMemoryLimit === "auto") automatic.push("workerMemoryLimitBytes");

  const config: Config = {
    ...toFields(values),
    mode: sources.mode,
    automatic,
    origins: toLabels(origins, places),
    configFile: file?.path ?? null,
    envFiles,
    variables,
    admin: toAdmin(values.admin, origins.admin.baseDir),
    adminTokenDigest: token.digest,
    serverTimingTokenDigest: timingToken.digest,
    publicDir: hasPublic || !origins.public.isDefault ? publicDir : null,
    workers,
    maxWorkers,
    workerMemoryLimitBytes:
      values.workerMemoryLimit === "auto"
        ? defaultMemoryLimit(availableMemoryBytes(), allWorkers)
        : (values.workerMemoryLimit ?? 0),
    pools: fileSettings.pools,
    warmup: fileSettings.warmup,
    apps,
    sites: fileSettings.sites,
    acme: fileSettings.acme,
    rules: fileSettings.rules,
    upstreams: fileSettings.upstreams,
    bindings: fileSettings.bindings,
    stores: fileSettings.stores,
    envVariables: fileSettings.envVariables,
    fileApps: {
      dir: values.appDir,
      python: python ?? findPython(values.appDir, sources.env),
      kind: values.appKind,
    },
  };
  const problems = [...unknownKeys, ...(await findConfigProblems(config, origins))];
  if (problems.length > 0) throw refusal(problems);
  return Object.freeze(config);
}

type SettingValues = { readonly [Name in SettingName]: SettingValue<Name> };

/** Checks all values. Paths become absolute. */
function parseSettings(
  origins: Origins,
): { ok: true; values: SettingValues } | { ok: false; problems: string[] } {
  const problems: string[] = [];
  const entries = SETTING_NAMES.map((name) => {
    const { label, value, baseDir } = origins[name];
    const { type, isPath } = settingOf(name);
    const parsed = type.parse(value);
    if (parsed === null) {
      const { key, ...wrong } = type.explain?.(value) ?? {
        key: "",
        value,
        expected: expectedOf(name),
      };
      const found = describeValue(wrong.value);
      problems.push(
        `Cannot use ${withKey(label, key)}: found ${found}, expected ${wrong.expected}`,
      );
    }
    const checked = parsed?.value;
    const isRelative = isPath === true && typeof checked === "string";
    return [name, isRelative ? resolve(baseDir, checked) : checked];
  });
  if (problems.length > 0) return { ok: false, problems };
  // Each value is of its setting's type.
  return { ok: true, values: Object.fromEntries(entries) as SettingValues };
}

/** Adds the key of a member to the label of its setting: `cacheControl["*.pdf"] in edgicorn.config.ts`. */
function withKey(label: string, key: string): string {
  return label.replace(/^\S+/, (name) => name + key);
}

/** Returns the values by their names in `Config`. */
function toFields(values: SettingValues): SettingFields {
  const entries = SETTING_NAMES.map((name) => [SETTINGS[name].field, values[name]]);
  // Automatic fields are still words: `loadConfig` puts numbers in their place.
  return Object.fromEntries(entries) as SettingFields;
}

async function readConfigFile({
  flags,
  env,
  cwd,
  signal,
  variables,
}: ConfigSources & Pick<Config, "variables">): Promise<ConfigFile | null> {
  const named = flags.config ?? (env["EDGICORN_CONFIG"] || undefined);
  const path = named === undefined ? findConfigFile(cwd) : resolve(cwd, named);
  const namedBy = flags.config === undefined ? "EDGICORN_CONFIG" : "--config";
  return path === null ? null : await loadConfigFile(path, { cwd, namedBy, signal, variables });
}

function findUnknownKeys(file: ConfigFile): string[] {
  const known: readonly string[] = [...SETTING_NAMES, ...FILE_SETTING_NAMES];
  const unknown = Object.keys(file.values).filter((key) => !known.includes(key));
  return unknown.map((key) => {
    const reason = whyMissing(key);
    if (reason !== null) return `Cannot use ${key} in ${file.shownAs}: ${reason}`;
    const nearest = findByOtherName(key) ?? pickNearest(key, known);
    const hint = nearest === null ? `one of ${known.join(", ")}` : `did you mean "${nearest}"?`;
    return `Cannot use ${key} in ${file.shownAs}: found an unknown key, ${nearest === null ? "expected " : ""}${hint}`;
  });
}

function pickFileSettings(
  file: ConfigFile | null,
  cwd: string,
): { ok: true; settings: FileSettings } | { ok: false; problems: string[] } {
  const folder = file === null ? cwd : dirname(file.path);
  const result = readFileSettings(file?.values ?? {}, folder);
  if (result.ok) return result;
  const place = file === null ? "" : ` in ${file.shownAs}`;
  const problems = result.problems.map(
    ({ key, value, expected }) =>
      `Cannot use ${key}${place}: found ${describeValue(value)}, expected ${expected}`,
  );
  return { ok: false, problems };
}

/** Makes the path of a socket absolute. */
function toAdmin(address: AdminAddress | null, baseDir: string): AdminAddress | null {
  if (address?.kind !== "unix") return address;
  return { ...address, path: resolve(baseDir, address.path) };
}

/** A name without a slash is looked for in `PATH`. */
function toPython(value: string, baseDir: string): string | null {
  if (value === "auto") return null;
  return value.includes("/") ? resolve(baseDir, value) : value;
}

function refusal(problems: readonly string[]): RuntimeError {
  return new RuntimeError("ERR_CONFIG", problems.join("\n"));
}

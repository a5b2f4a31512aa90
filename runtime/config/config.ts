import { lookup } from "node:dns/promises";
import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { type AppSetting, type FileAppSettings, findPython, toApps } from "./apps.ts";
import { availableCpus } from "./available-cpus.ts";
import { availableMemoryBytes } from "./available-memory.ts";
import { type ConfigFile, describeValue, findConfigFile, loadConfigFile } from "./config-file.ts";
import { findContained } from "./contained-folders.ts";
import { defaultMemoryLimit } from "./memory-limit.ts";
import {
  FILE_SETTING_NAMES,
  type FileSettings,
  type PoolSetting,
  readFileSettings,
} from "./file-settings.ts";
import { readEnvFiles } from "./env-files.ts";
import { findByOtherName, whyMissing } from "./other-names.ts";
import { pickNearest } from "../lib/nearest.ts";
import { DEFAULT_POOL } from "../lib/pool-name.ts";
import {
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  environmentName,
  flagName,
  settingOf,
  type SettingFields,
  type SettingValue,
  expectedOf,
} from "./settings.ts";
import { type AcmeSetting, findAcmeProblems } from "./acme.ts";
import {
  listNamedSites,
  listPublicDirs,
  listSiteCertificates,
  listSitePools,
  type SiteConfig,
} from "./sites.ts";
import type { RuleSetting } from "./rule-settings.ts";
import { findProxyProblems, listProxies } from "./proxies.ts";
import type { UpstreamGroupSetting } from "./upstream-settings.ts";
import { findSuitesProblem } from "./tls-suites.ts";
import { findWriteObstacle } from "./write-obstacle.ts";
import { readFolderRules } from "./rule-files.ts";
import { RuntimeError } from "../lib/errors.ts";
import { toDisplayPath } from "../lib/display-path.ts";

/** All settings after their check. Plain data, frozen: the primary sends it to workers as it is. */
export interface Config extends SettingFields {
  readonly mode: "production" | "development";
  /** Fields whose values are derived from other settings or from the machine. The operator did not ask for their changes. */
  readonly automatic: readonly AutomaticField[];
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
  const { files: envFiles, variables } = readEnvFiles({ ...given, flag: given.flags.envFile });
  const sources = { ...given, env: { ...variables, ...given.env }, variables };
  const file = await readConfigFile(sources);
  const unknownKeys = file === null ? [] : findUnknownKeys(file);

  const origins = collect(sources, file);
  const parsed = parseSettings(origins);
  const fromFile = pickFileSettings(file, sources.cwd);
  // The other checks need valid values.
  if (!parsed.ok || !fromFile.ok) {
    const wrong = [parsed, fromFile].flatMap((result) => (result.ok ? [] : result.problems));
    throw refusal([...unknownKeys, ...wrong]);
  }
  const { values } = parsed;
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
    configFile: file?.path ?? null,
    envFiles,
    variables,
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
    fileApps: {
      dir: values.appDir,
      python: python ?? findPython(values.appDir, sources.env),
      kind: values.appKind,
    },
  };
  const problems = [
    ...unknownKeys,
    ...findPortProblems(config, origins),
    ...findRedirectProblems(config, origins),
    ...findProxyProblems(config, { proxy: origins.proxy.label, spa: origins.spa.label }),
    ...findWorkerProblems(config, origins),
    ...findMountProblems(config),
    ...findSiteProblems(config, origins),
    ...findAcmeProblems(config.acme, config),
    ...findSpoolProblems(config, origins),
    ...findFolderProblems(config, origins),
    ...findLogFileProblems(config, origins),
    ...findExposedPaths(config, origins),
    ...(await findFolderRuleProblems(config)),
    ...(await findSuiteProblems(config, origins)),
    ...(await findHostProblems(config, origins)),
  ];
  if (problems.length > 0) throw refusal(problems);
  return Object.freeze(config);
}

/** The source of a setting's value. */
interface Origin {
  /** `--http`, `EDGICORN_HTTP`, `http in edgicorn.config.ts`, `the default of http`. */
  label: string;
  value: unknown;
  /** The folder to which a path is relative. */
  baseDir: string;
  isDefault: boolean;
}

type Origins = Record<SettingName, Origin>;

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

function collect({ flags, env, cwd }: ConfigSources, file: ConfigFile | null): Origins {
  const fromFile = file?.values ?? {};
  const pick = (name: SettingName): Origin => {
    const flag = flags[name];
    const variable = environmentName(name);
    const fromEnv = env[variable];
    if (flag !== undefined) {
      return { label: `--${flagName(name)}`, value: flag, baseDir: cwd, isDefault: false };
    }
    if (fromEnv !== undefined && fromEnv !== "") {
      return { label: variable, value: fromEnv, baseDir: cwd, isDefault: false };
    }
    if (file !== null && fromFile[name] !== undefined) {
      const label = `${name} in ${file.shownAs}`;
      return { label, value: fromFile[name], baseDir: dirname(file.path), isDefault: false };
    }
    return {
      label: `the default of ${name}`,
      value: SETTINGS[name].default,
      baseDir: cwd,
      isDefault: true,
    };
  };
  // Every name of SETTING_NAMES, which are exactly the keys of Origins.
  return Object.fromEntries(SETTING_NAMES.map((name) => [name, pick(name)])) as Origins;
}

function findPortProblems({ httpPort, httpsPort }: Config, { http, https }: Origins): string[] {
  if (httpPort === null && httpsPort === null) {
    return [
      `Cannot listen: ${http.label} and ${https.label} are both off, expected at least one port`,
    ];
  }
  if (httpPort === httpsPort && httpPort !== 0) {
    return [
      `Cannot listen: ${http.label} and ${https.label} are both ${httpPort}, expected two ports`,
    ];
  }
  return [];
}

/** Refuses redirects to HTTPS that a client could only follow in circles: all its requests seem to come over HTTP. */
function findRedirectProblems(config: Config, { https, ...origins }: Origins): string[] {
  const { httpsPort, trustedProxies, sites } = config;
  if (httpsPort !== null || trustedProxies !== null) return [];
  const keys = [
    ...(config.httpsRedirect ? [origins.httpsRedirect.label] : []),
    ...sites.flatMap(({ name, own }) =>
      own.httpsRedirect === true ? [`sites[${JSON.stringify(name)}].httpsRedirect`] : [],
    ),
  ];
  return keys.map(
    (label) =>
      `Cannot use ${label}: found no port for HTTPS (${https.label} is off), ` +
      "expected one, or in trustedProxies the proxy that ends TLS",
  );
}

function findWorkerProblems({ workers, maxWorkers }: Config, origins: Origins): string[] {
  if (maxWorkers >= workers) return [];
  return [
    `Cannot use ${origins.maxWorkers.label}: found ${maxWorkers}, expected at least ${workers}, ` +
      `as ${origins.workers.label} says`,
  ];
}

/** Refuses a spool limit that leaves no room for a body of the largest size. */
function findSpoolProblems(config: Config, { spoolLimit, bodyLimit }: Origins): string[] {
  const { bodyOverflow, spoolLimitBytes, bodyLimitBytes } = config;
  if (bodyOverflow !== "spool" || spoolLimitBytes >= bodyLimitBytes) return [];
  return [
    `Cannot use ${spoolLimit.label}: found ${spoolLimitBytes} bytes, expected at least ${bodyLimitBytes}, ` +
      `as ${bodyLimit.label} says, since bodies are spooled`,
  ];
}

function findFolderProblems(config: Config, origins: Origins): string[] {
  const problems: string[] = [];
  // An application, a site and a proxy need no handlers. A folder that the operator names must be there.
  const others = config.apps.length + listNamedSites(config).length + listProxies(config).length;
  const needsHandlers = others === 0 || !origins.handlers.isDefault;
  if (needsHandlers && !isFolder(config.handlersDir)) {
    problems.push(
      `Cannot use ${origins.handlers.label}: found no folder ${config.handlersDir}, ` +
        'expected the folder of the handlers (create it, such as with "edgicorn init", or name another with --handlers DIR)',
    );
  }
  for (const { dir, mount, site } of config.apps) {
    if (isFolder(dir)) continue;
    const place = site === undefined ? "" : `sites[${JSON.stringify(site)}].`;
    const own = place !== "" && mount === "" ? "appDir" : `mounts["${mount || "/"}"].dir`;
    const label = dir === config.appDir ? origins.appDir.label : `${place}${own}`;
    problems.push(
      `Cannot use ${label}: found no folder ${dir}, expected the folder of the Python application`,
    );
  }
  if (config.publicDir !== null && !isFolder(config.publicDir)) {
    problems.push(
      `Cannot use ${origins.public.label}: found no folder ${config.publicDir}, ` +
        'expected the folder of the static files, or "off"',
    );
  }
  // A self-signed certificate must not replace one that the operator named.
  const needsCerts = config.httpsPort !== null && !origins.certs.isDefault;
  if (needsCerts && !isFolder(config.certsDir)) {
    problems.push(
      `Cannot use ${origins.certs.label}: found no folder ${config.certsDir}, ` +
        "expected the folder of the certificates (without it, one for localhost is made in certs/)",
    );
  }
  if (config.pidFile !== null && !isFolder(dirname(config.pidFile))) {
    problems.push(
      `Cannot use ${origins.pidFile.label}: found no folder ${dirname(config.pidFile)}, ` +
        "expected a file in a folder that exists",
    );
  }
  return problems;
}

function findLogFileProblems({ logFile, accessLog, sites }: Config, origins: Origins): string[] {
  const problems = sites.flatMap(({ name, own: { accessLog: path } }) => {
    const obstacle = typeof path === "string" ? findWriteObstacle(path) : null;
    if (obstacle === null) return [];
    const label = `sites[${JSON.stringify(name)}].accessLog`;
    return [
      `Cannot use ${label}: found ${obstacle}, expected a file that can be written, in a folder that exists`,
    ];
  });
  for (const [name, path] of Object.entries({ logFile, accessLog })) {
    const obstacle = typeof path === "string" ? findWriteObstacle(path) : null;
    if (obstacle === null) continue;
    // The keys of the object above.
    const { label } = origins[name as "logFile" | "accessLog"];
    problems.push(
      `Cannot use ${label}: found ${obstacle}, expected a file that can be written, in a folder that exists`,
    );
  }
  return problems;
}

/** Checks the files of rules in the public folders. */
async function findFolderRuleProblems(config: Config): Promise<string[]> {
  const read = await Promise.all(
    listPublicDirs(config).map((dir) => readFolderRules(dir, toDisplayPath(dir))),
  );
  return read.flatMap(({ problems }) => problems);
}

/** Returns a problem for each secret file or folder in a public folder, which every client can read. */
function findExposedPaths(config: Config, origins: Origins): string[] {
  const { publicDir, configFile, envFiles, logFile, accessLog, sites } = config;
  const labels = new Map<string, string>();
  for (const { name, publicDir: dir } of sites) {
    if (dir !== null) labels.set(dir, `sites[${JSON.stringify(name)}].public`);
  }
  if (publicDir !== null) labels.set(publicDir, origins.public.label);
  const secrets = [
    { path: config.handlersDir, content: "the handlers" },
    ...sites.flatMap(({ name, handlersDir: path }) =>
      path === null ? [] : [{ path, content: `the handlers of ${name}` }],
    ),
    { path: config.certsDir, content: "the private keys" },
    ...listSiteCertificates(config).map((certs) => ({
      path: "dir" in certs ? certs.dir : certs.keyPath,
      content: "a private key",
    })),
    { path: config.stateDir, content: "the compiled handlers" },
    ...config.apps.map(({ dir }) => ({ path: dir, content: "the Python application" })),
    ...(configFile === null ? [] : [{ path: configFile, content: "the config file" }]),
    ...envFiles.map((path) => ({ path, content: "environment variables" })),
    ...(logFile === null ? [] : [{ path: logFile, content: "the log" }]),
    ...[accessLog, ...sites.map(({ own }) => own.accessLog)].flatMap((path) =>
      typeof path === "string" ? [{ path, content: "an access log" }] : [],
    ),
  ];
  return findContained([...labels.keys()], secrets).map(
    ({ folder, found: { path, content } }) =>
      `Cannot use ${labels.get(folder)}: found that ${folder} contains ${content} (${path}), ` +
      "expected a folder whose files every client may read",
  );
}

/** Refuses a server that would refuse every request. */
function findSiteProblems({ unknownHost, sites }: Config, origins: Origins): string[] {
  if (unknownHost === "default" || sites.some(({ hosts }) => hosts.length > 0)) return [];
  return [
    `Cannot use ${origins.unknownHost.label}: found "refuse" and no site with a host name, ` +
      'expected a site in "sites", or "default"',
  ];
}

async function findSuiteProblems({ tlsCiphers }: Config, origins: Origins): Promise<string[]> {
  const problem = await findSuitesProblem(tlsCiphers);
  if (problem === null) return [];
  return [
    `Cannot use ${origins.tlsCiphers.label}: found ${describeValue(tlsCiphers)} (${problem}), ` +
      `expected ${expectedOf("tlsCiphers")}`,
  ];
}

async function findHostProblems({ host }: Config, origins: Origins): Promise<string[]> {
  if (host === null) return [];
  try {
    await lookup(host);
    return [];
  } catch {
    return [
      `Cannot use ${origins.host.label}: found ${describeValue(host)}, which has no address, ` +
        `expected ${expectedOf("host")}`,
    ];
  }
}

/** A name without a slash is looked for in `PATH`. */
function toPython(value: string, baseDir: string): string | null {
  if (value === "auto") return null;
  return value.includes("/") ? resolve(baseDir, value) : value;
}

/** Two applications for one path would hide each other. */
function findMountProblems({ apps }: Config): string[] {
  const seen = new Set<string>();
  return apps.flatMap(({ mount, site = "" }) => {
    const key = `${site} ${mount}`;
    const isNew = !seen.has(key);
    seen.add(key);
    const path = mount === "" ? "/" : mount;
    const place = site === "" ? "" : `sites[${JSON.stringify(site)}].`;
    return isNew
      ? []
      : [
          `Cannot use ${place}mounts["${path}"]: found two applications for this path, expected one`,
        ];
  });
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // It is missing, or lies in a folder that this user may not enter: the server cannot use it.
    return false;
  }
}

function refusal(problems: readonly string[]): RuntimeError {
  return new RuntimeError("ERR_CONFIG", problems.join("\n"));
}

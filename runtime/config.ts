import { lookup } from "node:dns/promises";
import { statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { availableCpus } from "./config/available-cpus.ts";
import { availableMemoryBytes } from "./config/available-memory.ts";
import {
  type ConfigFile,
  describeValue,
  findConfigFile,
  loadConfigFile,
} from "./config/config-file.ts";
import { findContained } from "./config/contained-folders.ts";
import { defaultMemoryLimit } from "./config/memory-limit.ts";
import {
  FILE_SETTING_NAMES,
  type FileSettings,
  type PoolSetting,
  readFileSettings,
} from "./config/file-settings.ts";
import { readEnvFiles } from "./config/env-files.ts";
import { findByOtherName } from "./config/other-names.ts";
import { pickNearest } from "./nearest.ts";
import { DEFAULT_POOL } from "./pool-name.ts";
import {
  SETTING_NAMES,
  SETTINGS,
  type SettingName,
  environmentName,
  flagName,
  settingsSchema,
} from "./config/settings.ts";
import type { UserConfig } from "./config/user-config.ts";
import { findWriteObstacle } from "./config/write-obstacle.ts";
import { RuntimeError } from "./errors.ts";

/** Everything that can be set, checked. Plain data, frozen: it travels to workers as it is. */
export interface Config {
  readonly mode: "production" | "development";
  /** Fields that nobody has set as they are: they follow others, or the machine. A change of one is nobody's wish. */
  readonly automatic: readonly AutomaticField[];
  /** Absolute path of the config file, or `null` if there is none. */
  readonly configFile: string | null;
  /** Absolute paths of the files that `variables` are from. */
  readonly envFiles: readonly string[];
  /** Environment variables from files, for workers and for the config file. Secrets: never logged. */
  readonly variables: Readonly<Record<string, string>>;
  /** Absolute; exists. */
  readonly handlersDir: string;
  /** Absolute; exists. `null`: no static files. */
  readonly publicDir: string | null;
  /** Which symbolic links in the folder of the static files are followed. */
  readonly publicLinks: "inside" | "follow";
  /** Absolute; the default one may not exist yet. */
  readonly certsDir: string;
  /** Absolute; may not exist yet. */
  readonly stateDir: string;
  /** Absolute. `null`: none is written. */
  readonly pidFile: string | null;
  /** IP address or host name; `null`: all addresses, IPv4 and IPv6. */
  readonly host: string | null;
  /** 0: any free port. `null`: no plain listener. */
  readonly httpPort: number | null;
  /** 0: any free port. `null`: no TLS listener. */
  readonly httpsPort: number | null;
  /** Of the default pool. */
  readonly workers: number;
  /** How many there may be when all are busy; at least `workers`. */
  readonly maxWorkers: number;
  /** 0: any number. */
  readonly maxRequestsPerWorker: number;
  readonly maxRequestsJitter: number;
  /** 0: any. */
  readonly maxWorkerAgeMs: number;
  /** 0: any. */
  readonly maxWorkerIdleMs: number;
  /** Of one worker; 0: none. */
  readonly workerMemoryLimitBytes: number;
  /** By the pool's name: those that the config file names. */
  readonly pools: Readonly<Record<string, PoolSetting>>;
  readonly bodyLimitBytes: number;
  /** Of a request body, kept before a worker gets the request. */
  readonly bodyBufferBytes: number;
  /** Of a response body, kept for its client before the handler is held back. */
  readonly responseBufferBytes: number;
  /** A larger request body goes to a worker while it comes, or to disk until it is complete. */
  readonly bodyOverflow: "stream" | "spool";
  /** What a client does not take in time holds its handler back, or goes to disk. */
  readonly responseOverflow: "wait" | "spool";
  /** What all bodies on disk may take together. */
  readonly spoolLimitBytes: number;
  /** 0: none. */
  readonly bodyTimeoutMs: number;
  /** 0: none. */
  readonly minBodyRateBytesPerSecond: number;
  /** 0: none. */
  readonly sendTimeoutMs: number;
  /** Request line and header section together. */
  readonly headerLimitBytes: number;
  readonly headerCountLimit: number;
  /** Path and query. */
  readonly urlLimitBytes: number;
  readonly maxConnections: number;
  /** `null`: any number. */
  readonly maxRequests: number | null;
  /** `null`: any number. */
  readonly maxRequestsPerAddress: number | null;
  readonly workerConcurrency: number;
  readonly queueLimit: number;
  /** Longest wait that is foreseen; 0: any. */
  readonly queueDelayMs: number;
  readonly queueTimeoutMs: number;
  /** Normalised; `null`: none. */
  readonly healthPath: string | null;
  readonly requestTimeoutMs: number;
  /** 0: nothing is quarantined. */
  readonly quarantineMs: number;
  readonly drainGraceMs: number;
  readonly bootTimeoutMs: number;
  /** Silence after which a worker is taken for hung. 0: never. */
  readonly hangTimeoutMs: number;
  /** What each new worker is asked for before it serves: path and query. */
  readonly warmup: readonly string[];
  /** Recent requests that new workers are tried with; 0: none. */
  readonly reloadProbe: number;
  /** Generations that stay on disk. */
  readonly keepGenerations: number;
  /** `false`: none; `true`: in the log; else in a file of its own, absolute. */
  readonly accessLog: boolean | string;
  /** `combined`: with referer and user agent. */
  readonly accessLogFields: "common" | "combined";
  /** Whether queries are logged. */
  readonly accessLogQuery: boolean;
  readonly logLevel: "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
  readonly logFormat: "auto" | "pretty" | "json";
  /** Absolute. `null`: standard error. */
  readonly logFile: string | null;
  /** The package whose binary of uWebSockets.js is loaded; `auto`: the preferred one that loads. */
  readonly uws: "auto" | "uWebSockets.js" | "@btc-vision/uwebsockets.js" | "uws-pack";
}

export type AutomaticField = "workers" | "maxWorkers" | "workerMemoryLimitBytes" | "maxConnections";

/** Flags as they were typed. `config` and `envFile` say where other settings come from. */
export type Flags = Readonly<Partial<Record<FlagName, string>>>;

export type FlagName = SettingName | "config" | "envFile";

export interface ConfigSources {
  mode: Config["mode"];
  flags: Flags;
  env: Readonly<Record<string, string | undefined>>;
  /** Absolute; paths in flags and in the environment are relative to it. */
  cwd: string;
  /** Gives up when it aborts. */
  signal?: AbortSignal;
}

/**
 * Merges flags, environment, files of variables, config file and defaults, in this order of precedence, and checks the result.
 *
 * An environment variable that is set to nothing counts as not set.
 *
 * @throws ERR_CONFIG whose message has one line per problem: which source, what was found, what is expected.
 */
export async function loadConfig(given: ConfigSources): Promise<Config> {
  const { files: envFiles, variables } = readEnvFiles({ ...given, flag: given.flags.envFile });
  const sources = { ...given, env: { ...variables, ...given.env }, variables };
  const file = await readConfigFile(sources);
  if (file !== null) refuseUnknownKeys(file);

  const origins = collect(sources, file);
  const parsed = settingsSchema.safeParse(
    Object.fromEntries(SETTING_NAMES.map((name) => [name, origins[name].value])),
  );
  if (!parsed.success) {
    const refused = new Set(parsed.error.issues.map((issue) => issue.path[0]));
    throw refusal(
      SETTING_NAMES.filter((name) => refused.has(name)).map((name) => {
        const { label, value } = origins[name];
        return `Cannot use ${label}: found ${describeValue(value)}, expected ${SETTINGS[name].expected}`;
      }),
    );
  }
  const values = parsed.data;
  const fileSettings = pickFileSettings(file);
  const path = (
    name: "handlers" | "public" | "certs" | "stateDir" | "pidFile" | "logFile" | "accessLog",
    value: string,
  ): string => resolve(origins[name].baseDir, value);
  const publicDir = values.public === null ? null : path("public", values.public);
  const hasPublic = publicDir !== null && isFolder(publicDir);
  const workers = values.workers === "auto" ? Math.max(2, availableCpus() - 1) : values.workers;
  const maxWorkers = values.maxWorkers ?? workers;
  // As `planPools` has it: a pool that does not say how many has one; those of the default pool are counted already.
  const workersOfPools = Object.entries(fileSettings.pools).map(([name, pool]) =>
    name === DEFAULT_POOL ? 0 : (pool.workers ?? 1),
  );
  const allWorkers = workersOfPools.reduce((sum, count) => sum + count, maxWorkers);

  const automatic: AutomaticField[] = [];
  if (values.workers === "auto") automatic.push("workers");
  if (values.maxWorkers === null) automatic.push("maxWorkers");
  if (values.workerMemoryLimit === "auto") automatic.push("workerMemoryLimitBytes");

  const config: Config = {
    mode: sources.mode,
    automatic,
    configFile: file?.path ?? null,
    envFiles,
    variables,
    handlersDir: path("handlers", values.handlers),
    publicDir: hasPublic || !origins.public.isDefault ? publicDir : null,
    publicLinks: values.publicLinks,
    certsDir: path("certs", values.certs),
    stateDir: path("stateDir", values.stateDir),
    pidFile: values.pidFile === null ? null : path("pidFile", values.pidFile),
    host: values.host,
    httpPort: values.http,
    httpsPort: values.https,
    workers,
    maxWorkers,
    maxRequestsPerWorker: values.maxRequestsPerWorker,
    maxRequestsJitter: values.maxRequestsJitter,
    maxWorkerAgeMs: values.maxWorkerAge,
    maxWorkerIdleMs: values.maxWorkerIdle,
    workerMemoryLimitBytes:
      values.workerMemoryLimit === "auto"
        ? defaultMemoryLimit(availableMemoryBytes(), allWorkers)
        : (values.workerMemoryLimit ?? 0),
    pools: fileSettings.pools,
    bodyLimitBytes: values.bodyLimit,
    bodyBufferBytes: values.bodyBuffer,
    responseBufferBytes: values.responseBuffer,
    bodyOverflow: values.bodyOverflow,
    responseOverflow: values.responseOverflow,
    spoolLimitBytes: values.spoolLimit,
    bodyTimeoutMs: values.bodyTimeout,
    minBodyRateBytesPerSecond: values.minBodyRate,
    sendTimeoutMs: values.sendTimeout,
    headerLimitBytes: values.headerLimit,
    headerCountLimit: values.headerCountLimit,
    urlLimitBytes: values.urlLimit,
    maxConnections: values.maxConnections,
    maxRequests: values.maxRequests,
    maxRequestsPerAddress: values.maxRequestsPerAddress,
    workerConcurrency: values.workerConcurrency,
    queueLimit: values.queueLimit,
    queueDelayMs: values.queueDelay,
    queueTimeoutMs: values.queueTimeout,
    healthPath: values.healthPath,
    requestTimeoutMs: values.requestTimeout,
    quarantineMs: values.quarantine,
    drainGraceMs: values.drainGrace,
    bootTimeoutMs: values.bootTimeout,
    hangTimeoutMs: values.hangTimeout,
    warmup: fileSettings.warmup,
    reloadProbe: values.reloadProbe,
    keepGenerations: values.keepGenerations,
    accessLog:
      typeof values.accessLog === "string" ? path("accessLog", values.accessLog) : values.accessLog,
    accessLogFields: values.accessLogFields,
    accessLogQuery: values.accessLogQuery,
    logLevel: values.logLevel,
    logFormat: values.logFormat,
    logFile: values.logFile === null ? null : path("logFile", values.logFile),
    uws: values.uws,
  };
  const problems = [
    ...findPortProblems(config, origins),
    ...findWorkerProblems(config, origins),
    ...findSpoolProblems(config, origins),
    ...findFolderProblems(config, origins),
    ...findLogFileProblems(config, origins),
    ...findExposedPaths(config, origins),
    ...(await findHostProblems(config, origins)),
  ];
  if (problems.length > 0) throw refusal(problems);
  return Object.freeze(config);
}

/** What applies when nobody says otherwise, in the words of the config file. */
const DEFAULTS: Readonly<Required<UserConfig>> = {
  handlers: "handlers",
  public: "public",
  publicLinks: "inside", // nginx: disable_symlinks off
  certs: "certs",
  stateDir: ".edgicorn",
  pidFile: "off",
  http: 8080,
  https: 8443,
  host: "*",
  workers: "auto",
  maxWorkers: "off",
  maxRequestsPerWorker: 0, // gunicorn: max_requests 0
  maxRequestsJitter: 0, // gunicorn: max_requests_jitter 0
  maxWorkerAge: 0,
  maxWorkerIdle: 0,
  workerMemoryLimit: "auto",
  pools: {},
  bodyLimit: 1024 * 1024, // nginx: client_max_body_size 1m
  bodyBuffer: 64 * 1024, // nginx: client_body_buffer_size 16k, then a file
  responseBuffer: 128 * 1024, // nginx: proxy_buffers 8 8k, then a file
  bodyOverflow: "stream", // nginx: proxy_request_buffering on; see runtime/decisions/006
  responseOverflow: "wait", // nginx: proxy_max_temp_file_size 1024m
  spoolLimit: 1024 ** 3, // nginx has a limit per response only
  bodyTimeout: 60_000, // nginx: client_body_timeout 60s
  minBodyRate: 240, // Kestrel: 240 bytes/s
  sendTimeout: 60_000, // nginx: send_timeout 60s
  headerLimit: 16 * 1024, // Node's own; nginx allows 8k per line, and cookies exceed 4k in practice
  headerCountLimit: 98, // the library's own bound; Apache: LimitRequestFields 100
  urlLimit: 8 * 1024, // nginx: large_client_header_buffers 4 8k
  maxConnections: 10_000,
  maxRequests: "off", // no more than connections
  maxRequestsPerAddress: "off", // many share an address: behind a proxy, in an office
  workerConcurrency: 1_000, // gunicorn: worker_connections 1000
  queueLimit: 10_000, // no more than connections: what bounds the queue is the wait
  queueDelay: "500ms",
  queueTimeout: 10_000, // longer than it takes to replace a worker
  healthPath: "off",
  requestTimeout: 60_000, // nginx: proxy_read_timeout 60s
  quarantine: 60_000,
  drainGrace: 30_000, // gunicorn: graceful_timeout 30
  bootTimeout: 30_000, // gunicorn: timeout 30
  hangTimeout: 30_000, // gunicorn: timeout 30, for workers that are silent
  warmup: [],
  reloadProbe: 0,
  keepGenerations: 5, // enough to go back over a bad day
  accessLog: true,
  accessLogFields: "combined", // nginx: log_format combined
  accessLogQuery: false, // nginx logs it; it may hold tokens
  logLevel: "info",
  logFormat: "auto",
  logFile: "off",
  uws: "auto", // runtime/decisions/029
};

/** Where the value of a setting came from. */
interface Origin {
  /** `--http`, `EDGICORN_HTTP`, `http in edgicorn.config.ts`, `the default of http`. */
  label: string;
  value: unknown;
  /** What a path is relative to. */
  baseDir: string;
  isDefault: boolean;
}

type Origins = Record<SettingName, Origin>;

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

function refuseUnknownKeys(file: ConfigFile): void {
  const known: readonly string[] = [...SETTING_NAMES, ...FILE_SETTING_NAMES];
  const unknown = Object.keys(file.values).filter((key) => !known.includes(key));
  if (unknown.length === 0) return;
  throw refusal(
    unknown.map((key) => {
      const nearest = findByOtherName(key) ?? pickNearest(key, known);
      const hint = nearest === null ? `one of ${known.join(", ")}` : `did you mean "${nearest}"?`;
      return `Cannot use ${key} in ${file.shownAs}: found an unknown key, ${nearest === null ? "expected " : ""}${hint}`;
    }),
  );
}

function pickFileSettings(file: ConfigFile | null): FileSettings {
  const result = readFileSettings(file?.values ?? {});
  if (result.ok) return result.settings;
  const place = file === null ? "" : ` in ${file.shownAs}`;
  throw refusal(
    result.problems.map(
      ({ key, value, expected }) =>
        `Cannot use ${key}${place}: found ${describeValue(value)}, expected ${expected}`,
    ),
  );
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
      value: DEFAULTS[name],
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

function findWorkerProblems({ workers, maxWorkers }: Config, origins: Origins): string[] {
  if (maxWorkers >= workers) return [];
  return [
    `Cannot use ${origins.maxWorkers.label}: found ${maxWorkers}, expected at least ${workers}, ` +
      `as ${origins.workers.label} says`,
  ];
}

/** No body of the size that is allowed would ever have room. */
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
  if (!isFolder(config.handlersDir)) {
    problems.push(
      `Cannot use ${origins.handlers.label}: found no folder ${config.handlersDir}, ` +
        'expected the folder of the handlers (create it, such as with "edgicorn init", or name another with --handlers DIR)',
    );
  }
  if (config.publicDir !== null && !isFolder(config.publicDir)) {
    problems.push(
      `Cannot use ${origins.public.label}: found no folder ${config.publicDir}, ` +
        'expected the folder of the static files, or "off"',
    );
  }
  // A certificate that somebody named and that is not there must not become one that nobody signed.
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
        "expected a file in a folder that is there",
    );
  }
  return problems;
}

function findLogFileProblems({ logFile, accessLog }: Config, origins: Origins): string[] {
  const problems: string[] = [];
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

/** What must not lie in the public folder: whoever asks would get it. */
function findExposedPaths(config: Config, origins: Origins): string[] {
  const { publicDir, configFile, logFile, accessLog } = config;
  if (publicDir === null) return [];
  const secrets = [
    { path: config.handlersDir, what: "the handlers" },
    { path: config.certsDir, what: "the private keys" },
    { path: config.stateDir, what: "the compiled handlers" },
    ...(configFile === null ? [] : [{ path: configFile, what: "the config file" }]),
    ...(logFile === null ? [] : [{ path: logFile, what: "the log" }]),
    ...(typeof accessLog === "string" ? [{ path: accessLog, what: "the access log" }] : []),
  ];
  return findContained(publicDir, secrets).map(
    ({ path, what }) =>
      `Cannot use ${origins.public.label}: found that ${publicDir} contains ${what} (${path}), ` +
      "expected a folder with nothing in it but what everybody may have",
  );
}

async function findHostProblems({ host }: Config, origins: Origins): Promise<string[]> {
  if (host === null) return [];
  try {
    await lookup(host);
    return [];
  } catch {
    return [
      `Cannot use ${origins.host.label}: found ${describeValue(host)}, which has no address, ` +
        `expected ${SETTINGS.host.expected}`,
    ];
  }
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    // It is not there, or it lies where we may not look: of no use either way.
    return false;
  }
}

function refusal(problems: readonly string[]): RuntimeError {
  return new RuntimeError("ERR_CONFIG", problems.join("\n"));
}

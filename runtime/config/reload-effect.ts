import type { Config } from "../config.ts";
import { RuntimeError } from "../errors.ts";

/** What becomes of a setting that has changed when a server that runs reads it again. */
export interface ReloadEffect {
  /** As the config file calls it. */
  name: string;
  /**
   * `source`: it says where settings come from, and is none itself. `switch`: it counts from the switch on, for what begins then. `pools`: workers know it, or what keeps them: pools get
   * new ones. `restart`: it cannot change while the server runs, and a reload that asks for it is refused.
   */
  effect: "source" | "switch" | "pools" | "restart";
}

/**
 * One entry per field of `Config`: a new setting does not compile until somebody has thought of what a reload does with
 * it.
 */
export const RELOAD_EFFECT = {
  mode: { name: "mode", effect: "restart" },
  configFile: { name: "config", effect: "source" },
  envFiles: { name: "envFile", effect: "source" },
  variables: { name: "envFile", effect: "pools" },
  handlersDir: { name: "handlers", effect: "switch" },
  publicDir: { name: "public", effect: "switch" },
  publicLinks: { name: "publicLinks", effect: "switch" },
  certsDir: { name: "certs", effect: "switch" },
  // Leases and the control socket are there.
  stateDir: { name: "stateDir", effect: "restart" },
  host: { name: "host", effect: "restart" },
  httpPort: { name: "http", effect: "restart" },
  httpsPort: { name: "https", effect: "restart" },
  // Each pool has its own: see `planPools`.
  workers: { name: "workers", effect: "switch" },
  maxWorkers: { name: "maxWorkers", effect: "switch" },
  workerMemoryLimitBytes: { name: "workerMemoryLimit", effect: "switch" },
  pools: { name: "pools", effect: "switch" },
  maxRequestsPerWorker: { name: "maxRequestsPerWorker", effect: "pools" },
  maxRequestsJitter: { name: "maxRequestsJitter", effect: "pools" },
  maxWorkerAgeMs: { name: "maxWorkerAge", effect: "pools" },
  maxWorkerIdleMs: { name: "maxWorkerIdle", effect: "pools" },
  bodyLimitBytes: { name: "bodyLimit", effect: "switch" },
  bodyBufferBytes: { name: "bodyBuffer", effect: "pools" },
  responseBufferBytes: { name: "responseBuffer", effect: "pools" },
  bodyOverflow: { name: "bodyOverflow", effect: "switch" },
  responseOverflow: { name: "responseOverflow", effect: "switch" },
  spoolLimitBytes: { name: "spoolLimit", effect: "restart" },
  bodyTimeoutMs: { name: "bodyTimeout", effect: "switch" },
  minBodyRateBytesPerSecond: { name: "minBodyRate", effect: "switch" },
  sendTimeoutMs: { name: "sendTimeout", effect: "switch" },
  // uWebSockets.js reads it when it is loaded, which is once.
  headerLimitBytes: { name: "headerLimit", effect: "restart" },
  headerCountLimit: { name: "headerCountLimit", effect: "switch" },
  urlLimitBytes: { name: "urlLimit", effect: "switch" },
  maxRequests: { name: "maxRequests", effect: "pools" },
  maxRequestsPerAddress: { name: "maxRequestsPerAddress", effect: "switch" },
  // Each pool may have its own: see `planPools`.
  workerConcurrency: { name: "workerConcurrency", effect: "switch" },
  queueLimit: { name: "queueLimit", effect: "pools" },
  queueDelayMs: { name: "queueDelay", effect: "pools" },
  queueTimeoutMs: { name: "queueTimeout", effect: "pools" },
  healthPath: { name: "healthPath", effect: "switch" },
  quarantineMs: { name: "quarantine", effect: "pools" },
  // Others have found the server by it.
  pidFile: { name: "pidFile", effect: "restart" },
  maxConnections: { name: "maxConnections", effect: "switch" },
  requestTimeoutMs: { name: "requestTimeout", effect: "switch" },
  drainGraceMs: { name: "drainGrace", effect: "switch" },
  bootTimeoutMs: { name: "bootTimeout", effect: "pools" },
  hangTimeoutMs: { name: "hangTimeout", effect: "pools" },
  // What has not been asked for it has not proven that it answers it.
  warmup: { name: "warmup", effect: "pools" },
  reloadProbe: { name: "reloadProbe", effect: "switch" },
  keepGenerations: { name: "keepGenerations", effect: "switch" },
  accessLog: { name: "accessLog", effect: "switch" },
  accessLogFields: { name: "accessLogFields", effect: "switch" },
  accessLogQuery: { name: "accessLogQuery", effect: "switch" },
  logLevel: { name: "logLevel", effect: "pools" },
  // The form of what has been opened stays.
  logFormat: { name: "logFormat", effect: "restart" },
  logFile: { name: "logFile", effect: "restart" },
  // A library cannot be unloaded.
  uws: { name: "uws", effect: "restart" },
} as const satisfies Record<SettingField, ReloadEffect>;

type SettingField = Exclude<keyof Config, "automatic">;

/** A setting whose value differs. */
export interface ChangedSetting extends ReloadEffect {
  before: unknown;
  after: unknown;
}

/** The settings in which two configs differ because somebody has changed them: none that are automatic in both. */
export function findChangedSettings(before: Config, after: Config): ChangedSetting[] {
  const automatic: readonly string[] = after.automatic.filter((key) =>
    before.automatic.includes(key),
  );
  return Object.entries(RELOAD_EFFECT).flatMap(([key, effect]) => {
    // The table has no other keys.
    const [old, now] = [before[key as SettingField], after[key as SettingField]];
    const isSame = JSON.stringify(old) === JSON.stringify(now);
    return isSame || effect.effect === "source" || automatic.includes(key)
      ? []
      : [{ ...effect, before: old, after: now }];
  });
}

/** Those that cannot change while the server runs. */
export function findRestarts(changed: readonly ChangedSetting[]): ChangedSetting[] {
  return changed.filter(({ effect }) => effect === "restart");
}

/** @throws RuntimeError `ERR_CONFIG`, one line each, when settings have changed that cannot while the server runs. */
export function refuseRestarts(changed: readonly ChangedSetting[]): void {
  const lines = findRestarts(changed).map(
    ({ name, before, after }) =>
      `Cannot change ${name} while the server runs: found ${JSON.stringify(after)}, expected ${JSON.stringify(before)} until it is restarted`,
  );
  if (lines.length > 0) throw new RuntimeError("ERR_CONFIG", lines.join("\n"));
}

import type { Config } from "../config/config.ts";
import { listSitePools } from "../config/sites.ts";
import { describeEnvFileProblems, listEnvFiles } from "../config/env-files.ts";
import { makeStateDir } from "../config/make-state-dir.ts";
import { describeUnknownVariables } from "../config/unknown-variables.ts";
import type { Logger } from "../log/log.ts";
import type { ServerLogs } from "../log/server-logs.ts";
import { Primary } from "../primary.ts";
import { loadServerCertificates } from "./load-certificates.ts";
import { type LoadedCertificates } from "../tls/tls.ts";
import { fitConnections, fitSpoolFiles, readOpenFilesLimit } from "./connection-limit.ts";
import { type Admin, openAdmin } from "./admin.ts";
import { Presence } from "./presence.ts";
import type { StartCommand } from "./start-command.ts";
import type { Takeover } from "./takeover.ts";

export interface OpenOptions {
  config: Config;
  log: Logger;
  logs: ServerLogs;
  start: StartCommand;
  /** The value of the flag `--env-file`. */
  envFile: string | undefined;
  /** `null`: it takes the place of no other server. */
  takeover: Takeover | null;
  /** Whether a process of root has started this one as another user, and stays as its parent. */
  isLaunched: boolean;
  /** Reads the present settings, with the flags and the environment of the start. */
  readConfig: (signal: AbortSignal) => Promise<Config>;
  /** Begins to stop, in order. */
  stop: () => void;
}

/** A server that listens. Other programs do not know of it yet. */
export interface OpenServer {
  log: Logger;
  logs: ServerLogs;
  presence: Presence;
  primary: Primary;
  /** `null`: no operator asked for it. */
  admin: Admin | null;
  /** The certificates of the start. */
  certificates: LoadedCertificates | null;
  /** Warnings about these certificates. */
  warnings: readonly string[];
  /** Files of variables for which a start or reload looks. */
  envFiles: readonly string[];
  readConfig: OpenOptions["readConfig"];
}

/** Warns of odd settings, makes the state folder, loads certificates, and starts workers and listeners. */
export async function openServer(options: OpenOptions, signal: AbortSignal): Promise<OpenServer> {
  const { log, logs, start, envFile, takeover, isLaunched, readConfig, stop } = options;
  const { envFiles, variables, stateDir } = options.config;
  for (const line of describeEnvFileProblems(envFiles, start.startedIn)) log.warn(line);
  for (const line of describeUnknownVariables({ ...variables, ...process.env })) log.warn(line);
  // The last check of the settings: only an attempt shows whether the folder can be made. Nothing was made before it.
  makeStateDir(stateDir);
  const { config, certificates, warnings } = await complete(options.config, log);
  const presence = await Presence.open({ config, log, takeover, isLaunched, stop, start });
  let started: Primary | null = null;
  const admin = await openAdmin({
    config,
    log,
    primary: () => started,
    lostLogLines: () => logs.lostLines,
    isSuccessor: takeover !== null,
  });
  const primary = await Primary.start(
    {
      config,
      certificates: certificates?.certificates ?? null,
      warnings,
      log,
      createAccessLog: (target, format) => logs.createAccessLog(target, format),
      async loadSetup(reading) {
        const next = await complete(await readConfig(reading.signal), log);
        return { ...next, certificates: next.certificates?.certificates ?? null };
      },
      inherited: takeover?.place.listeners ?? [],
      maxSpoolFiles: (counts) => fitSpoolFiles(toFiles(counts), readOpenFilesLimit()),
    },
    { signal },
  ).catch((error: unknown) => {
    admin?.server.close();
    throw error;
  });
  started = primary;
  const sources = { flag: envFile, env: process.env, cwd: start.startedIn };
  return {
    log,
    logs,
    presence,
    primary,
    admin,
    certificates,
    warnings,
    envFiles: listEnvFiles(sources),
    readConfig,
  };
}

/** Fits a config to the limits of the process, and loads its certificates. Logs warnings. */
async function complete(
  wanted: Config,
  log: Logger,
): Promise<Pick<OpenServer, "certificates" | "warnings"> & { config: Config }> {
  const { maxConnections, warning } = fitConnections(toFiles(wanted), readOpenFilesLimit());
  if (warning !== null) log.warn(warning);
  const isFitted = maxConnections !== wanted.maxConnections;
  const automatic = isFitted
    ? ([...wanted.automatic, "maxConnections"] as const)
    : wanted.automatic;
  const config = Object.freeze({ ...wanted, maxConnections, automatic });
  if (config.acme !== null) {
    const { AcmeFolder } = await import("../acme/acme-folder.ts");
    await new AcmeFolder(config.certsDir).checkModes();
  }
  const certificates = config.httpsPort === null ? null : await loadServerCertificates(config);
  const warnings = certificates?.warnings ?? [];
  for (const problem of warnings) log.warn(problem);
  if (certificates?.created === true) {
    const { certsDir } = config;
    log.info({ certsDir }, "made a self-signed certificate for localhost: found no other");
  }
  return { config, certificates, warnings };
}

/** Returns the counts that decide the number of open files: connections, and workers of all pools in the config. */
function toFiles(config: Config): { maxConnections: number; workers: number } {
  const { maxConnections, maxWorkers, pools } = config;
  const ofSites = listSitePools(config).map(({ workers }) => workers);
  const others = [...Object.values(pools).map((pool) => pool.workers ?? 1), ...ofSites];
  return { maxConnections, workers: others.reduce((sum, count) => sum + count, maxWorkers) };
}

import { join, relative } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { loadConfig, type Config, type Flags } from "../config/config.ts";
import { CONFIG_FILES } from "../config/config-file.ts";
import { findChangedSettings, findRestarts } from "../config/reload-effect.ts";
import { describeEnvFileProblems, describeEnvFiles, listEnvFiles } from "../config/env-files.ts";
import { makeStateDir } from "../config/make-state-dir.ts";
import { SETTINGS } from "../config/settings.ts";
import { describeUnknownVariables } from "../config/unknown-variables.ts";
import type { ReloadReport } from "../control/operations.ts";
import { EXIT } from "../lib/errors.ts";
import { type LoadedCertificates, loadCertificates } from "../tls/tls.ts";
import { type Logger, pickLogLook } from "../log/log.ts";
import { guardStandardStreams, tellLostOutput } from "../log/standard-streams.ts";
import { ServerLogs } from "../log/server-logs.ts";
import { Primary } from "../primary.ts";
import { obeySignals, type PassOn } from "./shutdown.ts";
import { findWhereabouts, type StartCommand, toStartCommand } from "./start-command.ts";
import { type SharedPort, Takeover } from "./takeover.ts";
import { type BannerInfo, formatBanner, resolveTerminal } from "./banner.ts";
import { describeFailure, exitOnBug } from "./bugs.ts";
import { fitConnections, fitSpoolFiles, readOpenFilesLimit } from "./connection-limit.ts";
import { createOperations } from "./operations.ts";
import { followLink, moveAndTell } from "./move.ts";
import { packageVersion } from "../lib/package-version.ts";
import { Presence, type PresenceOptions } from "./presence.ts";
import { describeUnignoredFiles } from "./unignored-files.ts";
import { Upgrader, staysAsParent } from "./upgrade.ts";
import type { SourceWatcher } from "./source-watcher.ts";

/** Longest wait for a start that a signal interrupts: a build that does not end is killed within it. */
const ABORT_START_MS = 3_000;

/**
 * Runs the server until a signal ends it.
 *
 * @throws RuntimeError of fault "operator" when it cannot start; nothing is left behind then.
 */
export async function start(options: StartOptions): Promise<void> {
  const streams = guardStandardStreams();
  const logs = new ServerLogs();
  const stopping = new AbortController();
  let log: Logger | null = null;
  exitOnBug((error) => logs.reportBug(error, describeFailure(error).text));
  // Read once: the folder may be deleted, and this process then leaves it.
  const startedIn = process.cwd();
  const startCommand = toStartCommand({ ...process, cwd: startedIn, pwd: process.env["PWD"] });
  const place = { folder: startCommand.cwd, startedIn };
  // The end of the server whose place this one was to take, before it has taken it, is its own.
  const takeover = Takeover.receive({
    onOrphaned: stop,
    onLeave: () => whenServing(({ leaveAndExit }) => void leaveAndExit()),
  });
  const opening = open(options, {
    logs,
    takeover,
    place,
    signal: stopping.signal,
    onLog(created) {
      log = created;
      tellLostOutput(created, streams);
    },
  });
  const serving = opening.then((running) =>
    serve(running, {
      takeover,
      startCommand,
      startedIn,
      passSignals: (passOn) => passSignals(passOn),
    }),
  );
  let isServing = false;
  const whenServing = (act: (server: Serving) => void): void => {
    if (!isServing)
      log?.info("received a signal while starting: the server obeys it when it serves");
    serving.then(act, () => {});
  };
  // Before the start has ended, too: the server obeys as soon as it can.
  const passSignals = obeySignals({
    close: async () => {
      stopping.abort();
      const late = delay(ABORT_START_MS, null, { ref: false });
      const running = await Promise.race([opening.catch(() => null), late]);
      running?.presence.leave();
      await Promise.all([
        running?.primary.close(running.primary.config.drainGraceMs),
        Promise.race([serving.catch(() => null), late]).then((server) => server?.upgrader.abort()),
      ]);
      log?.info("stopped");
    },
    onClosing: (signal) => log?.info({ signal }, "stopping: finishing requests in flight"),
    onForced: (signal) => log?.warn({ signal }, "stopped at once"),
    reload: () => whenServing(({ reload }) => void reload().catch(() => {})),
    reopenLogs: () => logs.reopen(),
    resize: (change) => whenServing(({ resize }) => resize(change)),
    upgrade: () => whenServing(({ upgrader }) => upgrader.upgrade()),
  });
  try {
    await serving;
    isServing = true;
  } catch (error) {
    // The signal handler ends the process.
    if (stopping.signal.aborted) return;
    await takeover?.failed(describeFailure(error).text);
    throw error;
  }
}

/** Longer than a config file may take. */
const READ_CONFIG_MS = 30_000;

/** Sends this process the signal that ends it in order. */
function stop(): void {
  process.kill(process.pid, "SIGTERM");
}

export interface StartOptions {
  mode: Config["mode"];
  flags: Flags;
}

/** A server that listens. */
interface Running {
  /** As they were found at the start. */
  certificates: LoadedCertificates | null;
  warnings: readonly string[];
  log: Logger;
  logs: ServerLogs;
  /** Files of variables that a start or reload looks for. */
  envFiles: readonly string[];
  presence: Presence;
  primary: Primary;
  /** As they are by now, with the flags and the environment of the start. */
  readConfig: (signal: AbortSignal) => Promise<Config>;
}

/** A server that others know of. */
interface Serving {
  /** Logs the outcome, and rejects when the reload is refused. */
  reload: () => Promise<ReloadReport>;
  resize: (change: 1 | -1) => void;
  upgrader: Upgrader;
  /** Answers the last requests of its clients, then ends the process: another process serves. */
  leaveAndExit: () => Promise<void>;
}

interface OpenOptions {
  logs: ServerLogs;
  /** `null`: it takes the place of no other server. */
  takeover: Takeover | null;
  place: PresenceOptions["place"];
  signal: AbortSignal;
  onLog: (log: Logger) => void;
}

async function open(
  options: StartOptions,
  { logs, takeover, place, signal, onLog }: OpenOptions,
): Promise<Running> {
  const readConfig = (stopping: AbortSignal): Promise<Config> =>
    loadConfig({ ...options, env: process.env, cwd: place.startedIn, signal: stopping });
  const wanted = await readConfig(signal);
  const log = await logs.open(wanted);
  onLog(log);
  for (const line of describeEnvFileProblems(wanted.envFiles, place.startedIn)) log.warn(line);
  for (const line of describeUnknownVariables({ ...wanted.variables, ...process.env })) {
    log.warn(line);
  }
  // Nothing is made before all settings are known to be right, this one last: only trying tells.
  makeStateDir(wanted.stateDir);
  const { config, certificates, warnings } = await completeSite(wanted, log);
  const presence = await Presence.open({ config, log, takeover, stop, place });
  const inherited = takeover?.place.listeners ?? [];
  const primary = await Primary.start(
    {
      config,
      certificates: certificates?.certificates ?? null,
      warnings,
      log,
      createAccessLog: (target) => logs.createAccessLog(target),
      async loadSetup(reading) {
        const next = await completeSite(await readConfig(reading.signal), log);
        return { ...next, certificates: next.certificates?.certificates ?? null };
      },
      inherited,
      maxSpoolFiles: (counts) => fitSpoolFiles(toFiles(counts), readOpenFilesLimit()),
    },
    { signal },
  );
  const sources = { flag: options.flags.envFile, env: process.env, cwd: place.startedIn };
  const envFiles = listEnvFiles(sources);
  return { certificates, warnings, log, logs, envFiles, presence, primary, readConfig };
}

/** Fits a config to the limits of the process, and loads its certificates. Logs warnings. */
async function completeSite(
  wanted: Config,
  log: Logger,
): Promise<{
  config: Config;
  certificates: LoadedCertificates | null;
  warnings: readonly string[];
}> {
  const { maxConnections, warning } = fitConnections(toFiles(wanted), readOpenFilesLimit());
  if (warning !== null) log.warn(warning);
  const isFitted = maxConnections !== wanted.maxConnections;
  const automatic = isFitted
    ? ([...wanted.automatic, "maxConnections"] as const)
    : wanted.automatic;
  const config = Object.freeze({ ...wanted, maxConnections, automatic });
  const certificates = config.httpsPort === null ? null : await loadCertificates(config.certsDir);
  const warnings = certificates?.warnings ?? [];
  for (const problem of warnings) log.warn(problem);
  if (certificates?.created === true) {
    const { certsDir } = config;
    log.info({ certsDir }, "made a self-signed certificate for localhost: found no other");
  }
  return { config, certificates, warnings };
}

/** Counts that decide the number of open files: connections, and workers of all pools that the config knows. */
function toFiles({ maxConnections, maxWorkers, pools }: Config): {
  maxConnections: number;
  workers: number;
} {
  const others = Object.values(pools).map((pool) => pool.workers ?? 1);
  return { maxConnections, workers: others.reduce((sum, count) => sum + count, maxWorkers) };
}

async function serve(
  running: Running,
  options: {
    takeover: Takeover | null;
    startCommand: StartCommand;
    /** The folder of the start command at the start, without links. */
    startedIn: string;
    passSignals: (passOn: PassOn) => void;
  },
): Promise<Serving> {
  const { log, logs, presence, primary } = running;
  const { mode, pidFile, bootTimeoutMs } = primary.config;
  const { takeover, startCommand, startedIn } = options;
  let upgrader: Upgrader | null = null;
  const reload = (): Promise<ReloadReport> =>
    presence.whileReloading(async () => {
      const found = findWhereabouts(startCommand, startedIn);
      // In development the watcher stays in the folder of the start.
      if (found.kind === "same" || mode === "development") return moveAndTell(running, "reload");
      const move = { link: startCommand.cwd, from: startedIn, found };
      return followLink(running, { ...move, upgrader });
    });
  const rollback = (id?: string): Promise<ReloadReport> =>
    presence.whileReloading(() => moveAndTell(running, "rollback", id));
  const watcher = mode === "development" ? await watchHandlers(running, reload) : null;
  const listeners = (): SharedPort[] =>
    primary.listeners.map(({ scheme, port }) => ({ scheme, port }));
  const operations = createOperations({
    primary,
    mode,
    version: packageVersion(),
    lostLogLines: () => logs.lostLines,
    reload,
    rollback,
    restarts: async () => {
      // A reload starts the program anew there.
      if (findWhereabouts(startCommand, startedIn).kind === "moved") return [];
      const wanted = await running.readConfig(AbortSignal.timeout(READ_CONFIG_MS));
      return findRestarts(findChangedSettings(primary.config, wanted)).map(
        ({ name, before, after }) => ({ name, before, after }),
      );
    },
  });
  let isGuarded: boolean;
  try {
    ({ isGuarded } = await presence.announce(operations, {
      listeners: listeners(),
      addresses: toAddresses(primary),
      facts: {
        generation: primary.generation.manifest.id,
        warnings: [...running.warnings, ...primary.generation.manifest.warnings],
      },
    }));
  } catch (error) {
    await primary.destroy();
    throw error;
  }
  // A reader of the log may look for the pid file and the control socket at once.
  announce(running);
  void warnOfUnignoredFiles(running);
  const hasServiceManager = (process.env["NOTIFY_SOCKET"] ?? "") !== "";
  const stays = staysAsParent({
    pid: process.pid,
    hasPidFile: pidFile !== null,
    hasServiceManager,
  });
  const leave = async (): Promise<void> => {
    presence.withdraw();
    watcher?.close();
    await primary.leave(primary.config.drainGraceMs);
  };
  const created = new Upgrader({
    log,
    start: startCommand,
    bootTimeoutMs,
    stays,
    guardian: isGuarded ? takeover : null,
    listeners,
    passSignals: options.passSignals,
    // A parent that stays is still the process that systemd or the shell knows.
    handOver: async (pid) => (stays ? presence.withdraw() : presence.handOver(pid)),
    leave,
    close: () => primary.close(primary.config.drainGraceMs),
    answered: () => presence.answered(),
  });
  upgrader = created;
  const leaveAndExit = async (): Promise<void> => {
    const left = leave();
    created.noteLeaving(left);
    await left;
    await presence.answered();
    process.exit(EXIT.drained);
  };
  const resize = (change: 1 | -1): void =>
    log.info({ workers: primary.resize(change) }, "number of workers changed");
  return { reload, resize, upgrader: created, leaveAndExit };
}

async function watchHandlers(
  { envFiles, log, primary }: Running,
  reload: () => Promise<ReloadReport>,
): Promise<SourceWatcher> {
  const { SourceWatcher: Watcher } = await import("./source-watcher.ts");
  const cwd = process.cwd();
  // The handlers and the settings are read after the start of this process, so a save since then is not lost.
  return new Watcher({
    sinceMs: performance.timeOrigin,
    targets: () => {
      const { handlersDir, configFile, publicDir } = primary.config;
      return {
        trees: [handlersDir, ...primary.sources],
        files: [
          ...envFiles,
          ...(configFile === null ? CONFIG_FILES.map((name) => join(cwd, name)) : [configFile]),
          ...WATCHED_FILES.map((name) => join(cwd, name)),
          // While it is there, it is looked at for each request.
          ...(publicDir === null ? [join(cwd, SETTINGS.public.default)] : []),
        ],
      };
    },
    reload: async () => {
      // The log says why not.
      await reload().catch(() => {});
    },
    onError: (error) => log.warn({ err: error }, "cannot watch a source: its changes go unseen"),
  });
}

/** Files of the working folder that count for a build, also when they come to be later. */
const WATCHED_FILES = [
  "tsconfig.json",
  "package.json",
  // Package managers write these when they have installed something.
  "node_modules/.package-lock.json",
  "node_modules/.modules.yaml",
  "node_modules/.yarn-state.yml",
];

/** Once per start, and while the server already serves: Git may take its time. */
async function warnOfUnignoredFiles({ log, primary }: Running): Promise<void> {
  for (const line of await describeUnignoredFiles(primary.config)) log.warn(line);
}

/** Announces the server: a banner on a terminal, one log line for a program. */
function announce({ certificates, log, primary }: Running): void {
  const { config } = primary;
  const addresses = toAddresses(primary);
  const terminal = { isTTY: process.stderr.isTTY, env: process.env };
  if (pickLogLook(config.logFormat, terminal).pretty) {
    const info = toBannerInfo(primary, config, certificates);
    process.stderr.write(
      formatBanner({ ...info, addresses }, resolveTerminal(process.stderr, process.env)),
    );
    if (config.logFile === null) return;
  }
  const { generation } = primary;
  const listeners = primary.listeners.map(({ scheme, port }) => ({ scheme, port }));
  log.info(
    {
      addresses,
      listeners,
      generation: generation.manifest.id,
      routes: generation.manifest.routes.length,
      workers: generation.workerPids.length,
      ...(config.envFiles.length > 0 && { envFiles: config.envFiles.map(display) }),
      startedInMs: Math.round(performance.now()),
    },
    "listening",
  );
}

function toBannerInfo(
  primary: Primary,
  config: Config,
  certificates: LoadedCertificates | null,
): Omit<BannerInfo, "addresses"> {
  const { generation, files } = primary;
  return {
    version: packageVersion(),
    mode: config.mode,
    routes: generation.describeRoutes(),
    handlersDir: display(config.handlersDir),
    publicFiles:
      files.stats === null || config.publicDir === null
        ? null
        : { dir: display(config.publicDir), count: files.stats.files },
    variables: describeEnvFiles(config, process.cwd()),
    workers: generation.workerPids.map((pid) => ({ pid })),
    certificate: certificates === null ? null : toBannerCertificate(certificates, config),
    library: primary.chosenLibrary,
    pid: process.pid,
    startedInMs: performance.now(),
  };
}

function toBannerCertificate(
  { certificates, created }: LoadedCertificates,
  config: Config,
): NonNullable<BannerInfo["certificate"]> {
  return {
    origin: certificates[0].origin,
    dir: display(config.certsDir),
    created,
    names: certificates.flatMap(({ names }) => names),
    notAfterMs: Math.min(...certificates.map(({ notAfterMs }) => notAfterMs)),
  };
}

function toAddresses({ listeners, config }: Primary): string[] {
  return listeners.map(({ scheme, port }) => toAddress(scheme, port, config));
}

/** Address for a browser: the configured host, or this machine's own name for itself. */
function toAddress(scheme: string, port: number, { host }: Config): string {
  const isAny = host === null || host === "0.0.0.0" || host === "::";
  const name = isAny ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `${scheme}://${name}:${port}`;
}

function display(path: string): string {
  const shown = relative(process.cwd(), path);
  return shown.startsWith("..") ? path : shown || ".";
}

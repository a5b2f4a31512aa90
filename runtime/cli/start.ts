import { relative } from "node:path";
import { loadConfig, type Config, type Flags } from "../config.ts";
import { RuntimeError } from "../errors.ts";
import { type LoadedCertificates, loadCertificates } from "../front/tls.ts";
import { createLogger, type Logger, type LogLook, openLog, pickLogLook } from "../log.ts";
import { createAccessLog } from "../log/access-log.ts";
import { Primary } from "../primary.ts";
import { obeySignals } from "../supervise/shutdown.ts";
import { type BannerInfo, formatBanner, resolveTerminal } from "./banner.ts";
import { packageVersion } from "./package-version.ts";

/**
 * Runs the server until a signal ends it.
 *
 * @throws RuntimeError of fault "operator" when it cannot start; nothing is left behind then.
 */
export async function start(options: { mode: Config["mode"]; flags: Flags }): Promise<void> {
  const config = await loadConfig({ ...options, env: process.env, cwd: process.cwd() });
  const destination = openLog();
  const { isTTY } = process.stderr;
  const look = pickLogLook(config.logFormat, { isTTY, env: process.env });
  const log = await createLogger(config, destination, look);
  const accessLog = config.accessLog ? createAccessLog(destination, look) : null;
  const certificates = config.httpsPort === null ? null : await loadCertificates(config.certsDir);
  for (const warning of certificates?.warnings ?? []) log.warn(warning);

  const primary = await Primary.start({
    config,
    log,
    accessLog,
    certificates: certificates?.certificates ?? null,
  });
  const reload = (): void => void reloadAndTell(primary, log);
  obeySignals({
    close: () => primary.close(config.drainGraceMs),
    onClosing: (signal) => log.info({ signal }, "stopping: finishing what is in flight"),
    onForced: (signal) => log.warn({ signal }, "stopped at once"),
    reload,
  });
  if (config.mode === "development") {
    const { watchSources } = await import("./watch.ts");
    watchSources(() => primary.generation.manifest, {
      dirs: [config.handlersDir],
      onChange: reload,
    });
  }
  announce(primary, { config, certificates, log, look });
}

/** Tells a person what is there, in words on a terminal; a program reads one log line. */
function announce(
  primary: Primary,
  options: { config: Config; certificates: LoadedCertificates | null; log: Logger; look: LogLook },
): void {
  const { config, certificates, log, look } = options;
  const addresses = primary.listeners.map(({ scheme, port }) => toAddress(scheme, port, config));
  if (look.pretty) {
    const info = toBannerInfo(primary, config, certificates);
    process.stderr.write(
      formatBanner({ ...info, addresses }, resolveTerminal(process.stderr, process.env)),
    );
    return;
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
  const { manifest } = generation;
  return {
    version: packageVersion(),
    mode: config.mode,
    routes: manifest.routes.map(({ pattern, handlers }, number) => ({
      methods: generation.methodsOf(number) ?? [],
      pattern,
      file: handlers.map(({ module }) => manifest.modules[module]?.source ?? "").join(", "),
    })),
    handlersDir: display(config.handlersDir),
    publicFiles:
      files === null || config.publicDir === null
        ? null
        : { dir: display(config.publicDir), count: files.stats.files },
    workers: generation.workerPids.map((pid) => ({ pid })),
    certificate: certificates === null ? null : toBannerCertificate(certificates, config),
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

/** What a person can open: the address that was asked for, or this machine's own name for itself. */
function toAddress(scheme: string, port: number, { host }: Config): string {
  const isAny = host === null || host === "0.0.0.0" || host === "::";
  const name = isAny ? "localhost" : host.includes(":") ? `[${host}]` : host;
  return `${scheme}://${name}:${port}`;
}

function display(path: string): string {
  const shown = relative(process.cwd(), path);
  return shown.startsWith("..") ? path : shown || ".";
}

async function reloadAndTell(primary: Primary, log: Logger): Promise<void> {
  const startedAtMs = performance.now();
  try {
    await primary.reload();
    const { id, routes } = primary.generation.manifest;
    const durationMs = Math.round(performance.now() - startedAtMs);
    log.info({ generation: id, routes: routes.length, durationMs }, "reloaded");
  } catch (error) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    const code = error instanceof RuntimeError ? error.code : undefined;
    log.error({ code }, `reload refused, the old handlers serve on: ${message}`);
  }
}

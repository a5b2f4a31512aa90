import { loadConfig, type Config, type Flags } from "../config.ts";
import { EXIT, RuntimeError } from "../errors.ts";
import { createLogger, type Logger, openLog, pickLogLook } from "../log.ts";
import { createAccessLog } from "../log/access-log.ts";
import { Primary } from "../primary.ts";
import { obeySignals } from "../supervise/shutdown.ts";

/**
 * Runs the server until a signal ends it.
 *
 * @throws RuntimeError of fault "operator" when it cannot start; nothing is left behind then.
 */
export async function start(options: { mode: Config["mode"]; flags: Flags }): Promise<void> {
  const config = await loadConfig({ ...options, env: process.env, cwd: process.cwd() });
  const destination = openLog();
  const look = pickLogLook(config.logFormat, { isTTY: process.stderr.isTTY, env: process.env });
  const log = await createLogger(config, destination, look);
  const accessLog = config.accessLog ? createAccessLog(destination, look) : null;
  const primary = await Primary.start({ config, log, accessLog, certificates: null });
  obeySignals({
    close: () => primary.close(config.drainGraceMs),
    onClosing: (signal) => log.info({ signal }, "stopping"),
    onForced: (signal) => log.warn({ signal }, "stopped at once"),
    reload: () => void reload(primary, log),
  });
  announce(primary, log);
}

function announce(primary: Primary, log: Logger): void {
  const listeners = primary.listeners.map(({ scheme, port }) => ({ scheme, port }));
  log.info({ listeners, workers: primary.generation.workerPids.length }, "listening");
}

async function reload(primary: Primary, log: Logger): Promise<void> {
  try {
    await primary.reload();
    log.info({ generation: primary.generation.manifest.id }, "reloaded");
  } catch (error) {
    const message = error instanceof RuntimeError ? error.message : String(error);
    log.error({ code: EXIT.failed }, `reload refused, the old handlers go on: ${message}`);
  }
}

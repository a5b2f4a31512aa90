import { existsSync } from "node:fs";
import { mkdtemp, rm, rmdir } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { type Config, loadConfig } from "../config.ts";
import { makeStateDir } from "../config/make-state-dir.ts";
import { inspectCertificates } from "../front/tls.ts";
import { openLog, createLogger, pickLogLook } from "../log.ts";
import { RuntimeError } from "../errors.ts";
import { createAccessLog } from "../log/access-log.ts";
import { Primary } from "../primary.ts";
import { describeFailure } from "./bugs.ts";
import type { StartOptions } from "./start.ts";

/** Checks, prints what is right and what is wrong, and sets the exit code. A signal ends it, as soon as it has tidied up. */
export async function runCheck(options: StartOptions): Promise<void> {
  const ending = new AbortController();
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const) {
    process.once(signal, () => {
      process.exitCode = 128 + constants.signals[signal];
      ending.abort(new RuntimeError("ERR_DRAINING", `Cannot check: ended by ${signal}`));
    });
  }
  let checked: Checked;
  try {
    checked = await check(options, { signal: ending.signal });
  } catch (error) {
    if (ending.signal.aborted) return;
    throw error;
  }
  if (ending.signal.aborted) return;
  const { good, problems, exitCode } = checked;
  process.stdout.write(good.map((line) => `${line}\n`).join(""));
  process.stderr.write(problems.map((problem) => `${problem}\n`).join(""));
  process.exitCode = exitCode;
}

/** What came of a check: lines for a person, and the exit code. */
export interface Checked {
  /** What is right, for standard output. */
  good: string[];
  /** What is wrong, for standard error. */
  problems: string[];
  exitCode: number;
}

/**
 * Does all that a start does, but for opening ports: reads the settings, the certificates and the folder of files, builds
 * the handlers and loads them in a worker.
 *
 * A server that runs here does not notice: the build has a folder of its own, which goes with the check.
 *
 * @param options.signal Gives up when it aborts; nothing is left behind then either.
 * @throws ERR_CONFIG with all that is wrong with the settings: nothing else can be checked then.
 */
export async function check(
  { mode, flags }: StartOptions,
  { signal }: { signal: AbortSignal },
): Promise<Checked> {
  const config = await loadConfig({ mode, flags, env: process.env, cwd: process.cwd(), signal });
  const checked: Checked = { good: [], problems: [], exitCode: 0 };
  checked.good.push(`settings: ${config.configFile ?? "no config file"}`);
  for (const part of [checkCertificates, checkHandlers]) {
    try {
      checked.good.push(...(await part(config, signal)));
    } catch (error) {
      const { text, exitCode } = describeFailure(error);
      checked.problems.push(text);
      checked.exitCode = exitCode;
    }
  }
  return checked;
}

async function checkCertificates(config: Config): Promise<string[]> {
  if (config.httpsPort === null) return [];
  const { certificates, warnings } = await inspectCertificates(config.certsDir);
  if (certificates.length === 0) {
    return [`certificates: none in ${config.certsDir}: one for localhost will be made`];
  }
  const names = certificates.map(({ certPath }) => certPath).join(", ");
  return [`certificates: ${names}`, ...warnings.map((warning) => `  warning: ${warning}`)];
}

async function checkHandlers(config: Config, signal: AbortSignal): Promise<string[]> {
  const destination = openLog();
  const look = pickLogLook(config.logFormat, { isTTY: process.stderr.isTTY, env: process.env });
  const logLevel = config.logLevel === "silent" ? "silent" : "warn";
  const log = await createLogger({ logLevel }, destination, look);
  const folder = await openFolder(config.stateDir);
  try {
    const site = {
      // One worker of each pool loads what all others would. Nothing is served, and no handler runs.
      config: {
        ...config,
        logLevel,
        httpPort: null,
        httpsPort: null,
        accessLog: false,
        workers: 1,
        pools: {},
        warmup: [],
        stateDir: folder.dir,
      } as const,
      certificates: null,
    };
    const primary = await Primary.start(
      {
        ...site,
        log,
        createAccessLog: () => createAccessLog(destination, look),
        loadSite: () => Promise.resolve(site),
        maxSpoolFiles: 0,
      },
      { signal },
    );
    const { routes } = primary.generation.manifest;
    await primary.destroy();
    return [
      `handlers: ${routes.length} ${routes.length === 1 ? "route" : "routes"} from ${config.handlersDir}`,
    ];
  } finally {
    await folder.remove();
    await destination.close();
  }
}

/** A folder in the state folder: packages resolve there as they do from a real build. */
async function openFolder(stateDir: string): Promise<{ dir: string; remove: () => Promise<void> }> {
  const existed = existsSync(stateDir);
  makeStateDir(stateDir);
  const dir = await mkdtemp(join(stateDir, "check-"));
  return {
    dir,
    async remove() {
      await rm(dir, { recursive: true, force: true });
      // Whoever checks as root leaves no folder that the server may not write to. Others may have begun to use it.
      if (!existed) await rmdir(stateDir).catch(() => {});
    },
  };
}

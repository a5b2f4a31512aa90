import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import { mkdtemp, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import { makeStateDir } from "../config/make-state-dir.ts";
import { STORES_FOLDER } from "../handlers/pool-plan.ts";
import { createAccessLog } from "../log/access-log.ts";
import { createLogger, openLog, pickLogLook } from "../log/log.ts";
import { Primary } from "../primary.ts";
import type { WorkerOutput } from "../supervise/fork-worker.ts";

export interface WithPrimaryOptions {
  /** Name of the command: its folder has it. */
  name: string;
  logLevel: Config["logLevel"];
  /** Where workers write their standard output. Default: to that of this process. */
  workerOutput?: WorkerOutput;
  /** Bindings use the data of the project. Default: none, for handlers that do not run. */
  hasStores?: boolean;
  /** Ends a start that has not finished. */
  signal: AbortSignal;
}

/** Bodies that may be on disk: there is one request at a time. */
const MAX_SPOOL_FILES = 4;

/**
 * Runs a function with a primary that opens no port: it builds the handlers and starts one worker of each pool, which loads the
 * same code as all others. Does not disturb a server that runs here: the build has a folder of its own, which is removed.
 *
 * @throws RuntimeError as `Primary.start` does; the error of `run`.
 */
export async function withPrimary<Result>(
  config: Config,
  { name, logLevel, workerOutput, hasStores = false, signal }: WithPrimaryOptions,
  run: (primary: Primary) => Result | Promise<Result>,
): Promise<Result> {
  const destination = openLog();
  // The log lines stand among lines for people.
  const logFormat = config.logFormat === "auto" ? "pretty" : config.logFormat;
  const look = pickLogLook(logFormat, { isTTY: process.stderr.isTTY, env: process.env });
  const { redactQuery } = config;
  const log = await createLogger({ logLevel, redactQuery }, destination, look);
  const folder = await openFolder(config.stateDir, { name, hasStores });
  try {
    const setup = {
      config: {
        ...config,
        logLevel,
        httpPort: null,
        httpsPort: null,
        accessLog: false,
        workers: 1,
        pools: {},
        sites: config.sites.map((site) => ({ ...site, workers: null, warmup: [] })),
        warmup: [],
        // A server that runs may have the folder of the cache.
        cacheDiskBytes: 0,
        stateDir: folder.dir,
      } as const,
      certificates: null,
      warnings: [],
    };
    const primary = await Primary.start(
      {
        ...setup,
        log,
        createAccessLog: () => createAccessLog(destination, look),
        loadSetup: () => Promise.resolve(setup),
        maxSpoolFiles: () => MAX_SPOOL_FILES,
      },
      { signal, ...(workerOutput !== undefined && { workerOutput }) },
    );
    try {
      return await run(primary);
    } finally {
      // In order: handlers may have opened connections that their dispose() closes.
      await primary.close(config.drainGraceMs);
    }
  } finally {
    await folder.remove();
    await destination.close();
  }
}

/** A folder in the state folder: packages resolve there as they do from a real build. */
async function openFolder(
  stateDir: string,
  { name, hasStores }: { name: string; hasStores: boolean },
): Promise<{ dir: string; remove: () => Promise<void> }> {
  const existed = existsSync(stateDir);
  makeStateDir(stateDir);
  const dir = await mkdtemp(join(stateDir, `${name}-`));
  if (hasStores) {
    const stores = join(stateDir, STORES_FOLDER);
    mkdirSync(stores, { recursive: true, mode: 0o700 });
    symlinkSync(stores, join(dir, STORES_FOLDER));
  }
  return {
    dir,
    async remove() {
      await rm(dir, { recursive: true, force: true });
      // A check by root must leave no folder to which the server may not write. Another process may use it by now.
      if (!existed) await rmdir(stateDir).catch(() => {});
    },
  };
}

import { constants } from "node:os";
import { type Config, type Flags, loadConfig } from "../config/config.ts";
import { flagName, type SettingName } from "../config/settings.ts";
import { drill } from "../drill/drill.ts";
import { DrillFolder } from "../drill/drill-folder.ts";
import { formatResult, formatResultsHead, formatVerdict } from "../drill/format-results.ts";
import type { ExerciseResult } from "../drill/judge.ts";
import { RuntimeError } from "../lib/errors.ts";
import { createLogger, openLog, pickLogLook } from "../log/log.ts";
import { Reaper } from "../supervise/reaper.ts";
import type { DrillInvocation } from "./arguments.ts";

const SECONDS = 5;
const BRIEF_SECONDS = 1.2;

/** Number of workers: one may be lost while another serves. More would only take longer to start. */
const FEWEST_WORKERS = 2;
const MOST_WORKERS = 4;

/** Exit code when an expectation did not hold. */
const EXIT_FAILED = 1;

/**
 * Drills the server that a start would run, on free ports, and prints the clients' view. A signal ends it after it has
 * tidied up.
 *
 * The exit code is 0 when all expectations held, otherwise 1.
 *
 * @throws ERR_CONFIG when a start would be refused for its settings, or the path cannot be used; ERR_LISTEN when the
 *   server does not start.
 */
export async function runDrill({
  flags,
  brief,
  json,
  path,
  only,
  seconds,
}: DrillInvocation): Promise<void> {
  const ending = endOnSignals();
  const { signal } = ending;
  const cwd = process.cwd();
  const config = await loadConfig({ mode: "production", flags, env: process.env, cwd, signal });
  const { handlersDir, stateDir } = config;
  const folder = await DrillFolder.open({ handlersDir, stateDir, cwd });
  const reaper = await openReaper(config);
  const print = (line: string): void => {
    if (!json) process.stdout.write(`${line}\n`);
  };
  let hasHead = false;
  try {
    const results = await drill({
      folder,
      cwd,
      path,
      only,
      brief,
      seconds: seconds ?? (brief ? BRIEF_SECONDS : SECONDS),
      command: (more) => toCommand({ ...flags, ...toFlags(config, folder) }, more),
      watch: (pids) => reaper.watch(pids),
      signal,
      onResult: (result) => {
        if (!hasHead) print(formatResultsHead());
        hasHead = true;
        print(formatResult(result));
      },
    });
    print(formatVerdict(results));
    if (json) process.stdout.write(`${JSON.stringify(results, null, 2)}\n`);
    process.exitCode = exitCodeOf(results);
  } catch (error) {
    if (!signal.aborted) throw sayOfOriginals(error, folder);
  } finally {
    await folder.remove();
    reaper.close();
    ending.dispose();
  }
}

/** Returns the error with the names of the original files: the copy is gone when the operator reads the message. */
function sayOfOriginals(error: unknown, folder: DrillFolder): unknown {
  if (!(error instanceof RuntimeError)) return error;
  return new RuntimeError(error.code, folder.toOriginal(error.message), { cause: error });
}

function exitCodeOf(results: readonly ExerciseResult[]): number {
  return results.every(({ breaches }) => breaches.length === 0) ? 0 : EXIT_FAILED;
}

/** Returns the flags that must differ from the operator's own start. They override flags, variables and the file. */
function toFlags(
  { workers }: Config,
  { certsDir, handlersDir, stateDir }: DrillFolder,
): Partial<Record<SettingName, string>> {
  const count = Math.min(MOST_WORKERS, Math.max(FEWEST_WORKERS, workers));
  return {
    handlers: handlersDir,
    certs: certsDir,
    stateDir,
    pidFile: "off",
    // Its folder belongs to the user of the drill.
    user: "off",
    group: "off",
    http: "0",
    https: "0",
    admin: "off",
    host: "127.0.0.1",
    workers: String(count),
    maxWorkers: String(count),
    // All clients of a drill have the same address.
    maxRequests: "off",
    maxRequestsPerAddress: "off",
    // A drill must not send mails, or run other work of the handlers.
    cron: "off",
    queues: "off",
    accessLog: "off",
    logFile: "off",
    logFormat: "json",
    logLevel: "info",
  };
}

function toCommand(flags: Flags, more: readonly string[]): [program: string, ...args: string[]] {
  // Other names are spelt as those of settings are.
  const own = Object.entries(flags).map(
    ([name, value]) => `--${flagName(name as SettingName)}=${value}`,
  );
  const [, script = ""] = process.argv;
  return [process.execPath, ...process.execArgv, script, "start", ...own, ...more];
}

/** Ends the server if this process is killed at once. */
async function openReaper({ logFormat }: Config): Promise<Reaper> {
  const look = pickLogLook(logFormat, { isTTY: process.stderr.isTTY, env: process.env });
  return new Reaper(await createLogger({ logLevel: "warn" }, openLog(), look));
}

function endOnSignals(): { signal: AbortSignal; dispose: () => void } {
  const ending = new AbortController();
  const signals = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const;
  const onSignal = (signal: (typeof signals)[number]): void => {
    process.exitCode = 128 + constants.signals[signal];
    ending.abort(new RuntimeError("ERR_DRAINING", `Cannot drill: ended by ${signal}`));
  };
  for (const signal of signals) process.once(signal, onSignal);
  const dispose = (): void => {
    for (const signal of signals) process.removeListener(signal, onSignal);
  };
  return { signal: ending.signal, dispose };
}

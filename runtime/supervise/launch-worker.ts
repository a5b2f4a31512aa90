import type { WorkerSettings } from "../channel/messages.ts";
import type { Logger } from "../log/log.ts";
import { canInspectWorkers, forkWorker } from "./fork-worker.ts";
import { examine } from "./hang/examine.ts";
import type { LaunchedWorker } from "./launched-worker.ts";
import { spawnPythonWorker } from "./python-worker.ts";

export interface LaunchOptions {
  log: Pick<Logger, "warn">;
  settings: WorkerSettings;
  /** The largest heap of JavaScript objects; `null`: Node's default. */
  heapLimitBytes: number | null;
}

/**
 * Starts the process of a worker: Python for an application, a fork of this program for handlers.
 *
 * @param env Added to the environment of this process.
 * @throws RuntimeError `ERR_BOOT_LOOP` when the system creates no process.
 */
export function launchWorker(env: Record<string, string>, options: LaunchOptions): LaunchedWorker {
  const { app } = options.settings;
  if (app !== null) return spawnPythonWorker(app, env, options);
  const { worker, socket } = forkWorker(env, options);
  return {
    pid: worker.process.pid ?? 0,
    socket,
    onExit: (callback) => {
      worker.once("exit", (code: number | null, signal: string | null) => {
        // Node names signals as its own types do.
        callback({ code, signal: signal as NodeJS.Signals | null });
      });
    },
    kill: () => worker.process.kill("SIGKILL"),
    examine: ({ signal }) =>
      examine(worker.process.pid ?? 0, { signal, canInspect: canInspectWorkers() }),
    crashStack: () => [],
  };
}

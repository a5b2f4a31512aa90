import cluster, { type Worker } from "node:cluster";
import { Socket } from "node:net";
import { CHANNEL_FD } from "../channel/messages.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import { leaveDeletedFolder } from "../lib/deleted-folder.ts";
import {
  asksForDebugger,
  configuresInspector,
  INSPECTOR_OPTION,
  type NodeOptions,
} from "./hang/inspector-options.ts";

/** A forked worker and the primary's end of its channel. */
export interface ForkedWorker {
  worker: Worker;
  socket: Socket;
}

/** The stream of this process that workers get as their standard output. */
export type WorkerOutput = "stdout" | "stderr";

/** Returns the file descriptor that a worker of Python gets as its standard output: the same as forks have. */
export function workerOutputFd(): number {
  return cluster.settings.stdio?.[1] === STDERR_FD ? STDERR_FD : STDOUT_FD;
}

const STDOUT_FD = 1;
const STDERR_FD = 2;

/** Tells `node:cluster` how to fork workers. Call it once per primary, before the first fork. */
export function prepareForks(workerEntry: string, output: WorkerOutput = "stdout"): void {
  cluster.setupPrimary({
    exec: workerEntry,
    args: [],
    // The channel is a socketpair of its own; Node's JSON "ipc" is left to node:cluster (docs/protocol.md).
    stdio: ["ignore", output === "stdout" ? "inherit" : STDERR_FD, "inherit", "ipc", "pipe"],
    execArgv: workerExecArgv(),
    ...(canInspectWorkers() && { inspectPort: 0 }),
  });
}

/** Returns the Node options of workers: the options of this process, and an option that lets it inspect workers. */
export function workerExecArgv(): string[] {
  return canInspectWorkers() ? [...process.execArgv, INSPECTOR_OPTION] : process.execArgv;
}

/**
 * Tells whether workers open Node's inspector at SIGUSR1 for the primary alone. The inspector shows where a blocked
 * worker stands. Finding its port works on Linux only.
 */
export function canInspectWorkers(): boolean {
  const { platform, features } = process;
  return platform === "linux" && features.inspector && !configuresInspector(nodeOptions());
}

/** Tells whether workers may stop at breakpoints. */
export function areWorkersDebugged(): boolean {
  return asksForDebugger(nodeOptions());
}

/** The Node options of this process. Workers get the same. */
function nodeOptions(): NodeOptions {
  return { execArgv: process.execArgv, nodeOptions: process.env["NODE_OPTIONS"] };
}

/**
 * Forks a worker. `heapLimitBytes` bounds its heap, unless the operator has set a bound for Node itself.
 *
 * @throws RuntimeError `ERR_BOOT_LOOP` when the system creates no process. Node reports this in three ways: it throws
 *   (ENOMEM), it returns a child without streams (EMFILE, ENFILE), or one with streams and without a process (EAGAIN).
 */
export function forkWorker(
  env: Record<string, string>,
  { heapLimitBytes, log }: { heapLimitBytes: number | null; log: Pick<Logger, "warn"> },
): ForkedWorker {
  const warning = leaveDeletedFolder();
  if (warning !== null) log.warn(warning);
  const execArgv = cluster.settings.execArgv ?? process.execArgv;
  let worker: Worker;
  try {
    // Node's options apply to all later forks, and pools differ in theirs.
    cluster.setupPrimary({ execArgv: [...execArgv, ...toHeapFlags(heapLimitBytes, execArgv)] });
    worker = cluster.fork(env);
  } catch (error) {
    throw new RuntimeError("ERR_BOOT_LOOP", `Cannot fork a worker: ${String(error)}`, {
      cause: error,
    });
  } finally {
    cluster.setupPrimary({ execArgv });
  }
  // The event reports a failed fork once more. Later errors are signals that did not arrive: the exit explains them.
  worker.on("error", () => {});
  const child = worker.process;
  // Contrary to its types, a child that was never started has no streams.
  const stdio = child.stdio as typeof child.stdio | undefined;
  const socket = stdio?.[CHANNEL_FD];
  if (child.pid !== undefined && socket instanceof Socket) return { worker, socket };
  // node:cluster forgets a worker at its exit. This worker never exits.
  if (cluster.workers !== undefined) delete cluster.workers[worker.id];
  if (socket instanceof Socket) socket.destroy();
  const limit = stdio === undefined ? "too many open files" : "too many processes";
  throw new RuntimeError("ERR_BOOT_LOOP", `Cannot fork a worker: ${limit}`);
}

/** Node accepts either spelling. */
const HEAP_FLAG = /(?:^|\s)--max[-_]old[-_]space[-_]size\b/;

function toHeapFlags(heapLimitBytes: number | null, execArgv: readonly string[]): string[] {
  const isSet = [...execArgv, process.env["NODE_OPTIONS"] ?? ""].some((flag) =>
    HEAP_FLAG.test(flag),
  );
  if (heapLimitBytes === null || isSet) return [];
  return [`--max-old-space-size=${Math.ceil(heapLimitBytes / 1024 / 1024)}`];
}

import cluster, { type Worker } from "node:cluster";
import { Socket } from "node:net";
import { CHANNEL_FD } from "../channel/messages.ts";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { leaveDeletedFolder } from "./deleted-folder.ts";
import {
  asksForDebugger,
  configuresInspector,
  INSPECTOR_OPTION,
  type NodeOptions,
} from "../inspector-options.ts";

/** A forked worker and our end of its channel. */
export interface ForkedWorker {
  worker: Worker;
  socket: Socket;
}

/** Tells `node:cluster` how to fork workers. Once per primary, before the first fork. */
export function prepareForks(workerEntry: string): void {
  cluster.setupPrimary({
    exec: workerEntry,
    args: [],
    // The channel is a socketpair of its own; Node's JSON "ipc" is left to node:cluster (docs/protocol.md).
    stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"],
    execArgv: workerExecArgv(),
    ...(canInspectWorkers() && { inspectPort: 0 }),
  });
}

/** The options of Node with which workers start: those of this process, and what lets it inspect them. */
export function workerExecArgv(): string[] {
  return canInspectWorkers() ? [...process.execArgv, INSPECTOR_OPTION] : process.execArgv;
}

/**
 * Whether workers open Node's inspector at SIGUSR1, and nobody else does: it tells where a blocked one stands. How its
 * port is found is known for Linux.
 */
export function canInspectWorkers(): boolean {
  const { platform, features } = process;
  return platform === "linux" && features.inspector && !configuresInspector(nodeOptions());
}

/** Whether workers wait at breakpoints. */
export function areWorkersDebugged(): boolean {
  return asksForDebugger(nodeOptions());
}

/** Workers are started with the same. */
function nodeOptions(): NodeOptions {
  return { execArgv: process.execArgv, nodeOptions: process.env["NODE_OPTIONS"] };
}

/**
 * Forks a worker. Its heap may be as large as said, unless the operator said so to Node itself.
 *
 * @throws RuntimeError `ERR_BOOT_LOOP` when the system makes no process. Node tells of it in three ways: it throws
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
    // Options of Node are set for all forks from then on, and pools differ in theirs.
    cluster.setupPrimary({ execArgv: [...execArgv, ...toHeapFlags(heapLimitBytes, execArgv)] });
    worker = cluster.fork(env);
  } catch (error) {
    throw new RuntimeError("ERR_BOOT_LOOP", `Cannot fork a worker: ${String(error)}`, {
      cause: error,
    });
  } finally {
    cluster.setupPrimary({ execArgv });
  }
  // A failed fork is told here too, a moment later; later ones say that a signal did not reach it, which its exit tells.
  worker.on("error", () => {});
  const child = worker.process;
  // Contrary to its types, a child that was never started has none.
  const stdio = child.stdio as typeof child.stdio | undefined;
  const socket = stdio?.[CHANNEL_FD];
  if (child.pid !== undefined && socket instanceof Socket) return { worker, socket };
  // It will never exit, which is when node:cluster would forget it.
  if (cluster.workers !== undefined) delete cluster.workers[worker.id];
  if (socket instanceof Socket) socket.destroy();
  const limit = stdio === undefined ? "too many open files" : "too many processes";
  throw new RuntimeError("ERR_BOOT_LOOP", `Cannot fork a worker: ${limit}`);
}

/** Node takes either spelling. */
const HEAP_FLAG = /(?:^|\s)--max[-_]old[-_]space[-_]size\b/;

function toHeapFlags(heapLimitBytes: number | null, execArgv: readonly string[]): string[] {
  const isSet = [...execArgv, process.env["NODE_OPTIONS"] ?? ""].some((flag) =>
    HEAP_FLAG.test(flag),
  );
  if (heapLimitBytes === null || isSet) return [];
  return [`--max-old-space-size=${Math.ceil(heapLimitBytes / 1024 / 1024)}`];
}

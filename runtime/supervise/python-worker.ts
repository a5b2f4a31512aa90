import { spawn } from "node:child_process";
import { once } from "node:events";
import { Socket } from "node:net";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import { type AppSettings, CHANNEL_FD } from "../channel/messages.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { StackFrame } from "../lib/stack-frames.ts";
import type { Logger } from "../log/log.ts";
import { leaveDeletedFolder } from "../lib/deleted-folder.ts";
import { workerOutputFd } from "./fork-worker.ts";
import { type Findings, readProcessState } from "./hang/examine.ts";
import { parsePythonStack } from "./hang/python-stack.ts";
import type { LaunchedWorker } from "./launched-worker.ts";

/** Descriptor to which Python writes its stacks. */
const STACK_FD = 3;

/** Most bytes of stacks that are kept: a hundred threads of a hundred frames. */
const MOST_STACK_BYTES = 256 * 1024;

/** Quiet time after which a stack counts as complete: Python writes it in one go. */
const STACK_QUIET_MS = 50;

/**
 * Starts a Python worker for an application. Its channel is a socketpair on descriptor 4, as for forks.
 *
 * @param env Added to the environment of this process.
 * @throws RuntimeError `ERR_BOOT_LOOP` when there is no such interpreter, or the system creates no process.
 */
export function spawnPythonWorker(
  app: AppSettings,
  env: Record<string, string>,
  { log }: { log: Pick<Logger, "warn"> },
): LaunchedWorker {
  const warning = leaveDeletedFolder();
  if (warning !== null) log.warn(warning);
  // `ps` shows the application behind the file.
  const child = spawn(app.python, [startFile(), app.spec], {
    cwd: app.dir,
    env: { ...process.env, ...env },
    stdio: ["ignore", workerOutputFd(), "inherit", "pipe", "pipe"],
  });
  let spawnError: Error | null = null;
  child.on("error", (error) => (spawnError ??= error));
  // Contrary to its types, a child that was never started has none.
  const stdio = child.stdio as typeof child.stdio | undefined;
  const socket = stdio?.[CHANNEL_FD];
  const stackPipe = stdio?.[STACK_FD];
  const { pid } = child;
  if (!(socket instanceof Socket) || !(stackPipe instanceof Socket) || pid === undefined) {
    if (socket instanceof Socket) socket.destroy();
    if (stackPipe instanceof Socket) stackPipe.destroy();
    throw new RuntimeError(
      "ERR_BOOT_LOOP",
      `Cannot start Python: found no program ${app.python} that can be run in ${app.dir}, ` +
        'expected an interpreter (setting "python") and a folder (setting "appDir")',
    );
  }
  const stacks = new StackPipe(stackPipe);
  return {
    pid,
    socket,
    onExit: (callback) => {
      child.once("exit", (code, signal) => callback({ code, signal }));
    },
    kill: () => child.kill("SIGKILL"),
    examine: async ({ signal }): Promise<Findings> => {
      const processState = await readProcessState(pid);
      if (processState === "stopped" || processState === "exited")
        return { processState, stack: [] };
      stacks.forget();
      child.kill("SIGUSR1");
      const stack = await stacks.next(signal);
      // The worker may go on. A later crash must not show this stack.
      stacks.forget();
      return { processState, stack };
    },
    crashStack: () => stacks.read(),
  };
}

/** Reads the stacks that Python's module `faulthandler` writes. */
class StackPipe {
  readonly #socket: Socket;
  #text = "";

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => {
      if (this.#text.length < MOST_STACK_BYTES) this.#text += text;
    });
    // The worker is gone, and its exit says so.
    socket.on("error", () => {});
  }

  forget(): void {
    this.#text = "";
  }

  read(): StackFrame[] {
    return parsePythonStack(this.#text);
  }

  /** Waits for a stack, at most until the signal aborts. */
  async next(signal: AbortSignal): Promise<StackFrame[]> {
    let quiet: NodeJS.Timeout | undefined;
    const refresh = (): void => {
      quiet?.refresh();
    };
    try {
      await once(this.#socket, "data", { signal });
      await new Promise<void>((resolve) => {
        quiet = setTimeout(resolve, STACK_QUIET_MS);
        this.#socket.on("data", refresh);
      });
    } catch {
      // The worker wrote nothing in time, or is gone.
    } finally {
      clearTimeout(quiet);
      this.#socket.off("data", refresh);
    }
    return this.read();
  }
}

/** From source, the folder `python` is beside this module's. Compiled, it is beside the program. */
function startFile(): string {
  const path = extname(import.meta.url) === ".ts" ? "../python/start.py" : "./python/start.py";
  return fileURLToPath(new URL(path, import.meta.url));
}

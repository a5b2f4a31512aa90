import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { LoadReport } from "../bench/load.ts";

/**
 * Loads that `wrk` cannot make. The clients are `client-main.ts`.
 *
 * They run in processes of their own, as `wrk` does: their work neither delays the measurement nor counts for it.
 */
export type ClientTask =
  | { readonly kind: "echo"; readonly url: string; readonly sizeBytes: number }
  | {
      readonly kind: "events";
      readonly url: string;
      readonly clients: number;
      readonly warmUpSeconds: number;
      readonly seconds: number;
    }
  | { readonly kind: "idle"; readonly url: string; readonly connections: number };

/** Open idle connections. */
export interface IdleConnections {
  /** Closes all of them and returns how many the server had left open. Repeated calls return the same promise. */
  readonly close: () => Promise<number>;
}

/** Sends a body and reads it back; the unit is MiB. Fails when a byte comes back different. */
export function runEcho(options: {
  readonly url: string;
  readonly sizeBytes: number;
  readonly signal: AbortSignal;
}): Promise<LoadReport> {
  const { url, sizeBytes, signal } = options;
  return runClient({ kind: "echo", url, sizeBytes }, { timeoutMs: ECHO_TIMEOUT_MS, signal });
}

/** Reads events on many connections. The latency of an event is its age when it is read. */
export function runEvents(options: {
  readonly url: string;
  readonly clients: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
  readonly signal: AbortSignal;
}): Promise<LoadReport> {
  const { url, clients, warmUpSeconds, seconds, signal } = options;
  const timeoutMs = (warmUpSeconds + seconds) * 1000 + GRACE_MS;
  return runClient({ kind: "events", url, clients, warmUpSeconds, seconds }, { timeoutMs, signal });
}

/** Opens connections, each of which has had one answer. */
export async function openIdleConnections(options: {
  readonly url: string;
  readonly connections: number;
  readonly signal: AbortSignal;
}): Promise<IdleConnections> {
  const { url, connections, signal } = options;
  const child = spawn(process.execPath, argsOf({ kind: "idle", url, connections }), {
    stdio: ["pipe", "pipe", "inherit"],
    signal,
  });
  const exited = once(child, "exit");
  // Awaited later, if at all: an interrupted run must not end with this error.
  exited.catch(() => undefined);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  // The first line reports that all are open, the second how many were left at the end of the input.
  const readCount = async (): Promise<number> => {
    const line = await lines.next();
    if (!line.done) return Number(line.value);
    await exited;
    throw new Error(`the client of the idle connections ended with exit code ${child.exitCode}`);
  };
  const opened = await readCount();
  if (opened < connections) throw new Error(`only ${opened} of ${connections} could be opened`);
  let closed: Promise<number> | undefined;
  const close = async (): Promise<number> => {
    child.stdin.end();
    const left = await readCount();
    await exited;
    return left;
  };
  return { close: () => (closed ??= close()) };
}

async function runClient(
  task: ClientTask,
  { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<LoadReport> {
  const options = { signal, timeout: timeoutMs };
  try {
    const { stdout } = await promisify(execFile)(process.execPath, argsOf(task), options);
    return JSON.parse(stdout) as LoadReport; // `client-main.ts` prints a value of that type.
  } catch (error) {
    const { stderr = "" } = error as { readonly stderr?: string }; // As `execFile` has it.
    throw new Error(`the client of ${task.kind} failed: ${stderr || String(error)}`, {
      cause: error,
    });
  }
}

function argsOf(task: ClientTask): readonly string[] {
  const main = fileURLToPath(new URL("main.ts", import.meta.url));
  return [...process.execArgv, main, JSON.stringify(task)];
}

/** Time for a client to start, to connect and to print. */
const GRACE_MS = 30_000;
const ECHO_TIMEOUT_MS = 180_000;

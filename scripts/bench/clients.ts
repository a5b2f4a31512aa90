import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { LoadReport } from "./load.ts";

/**
 * Load that `wrk` cannot make, made by programs of our own (`client-main.ts`).
 *
 * They are processes for themselves, as `wrk` is: their work neither delays the measuring nor counts as its.
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

/** Connections that are open and do nothing. */
export interface IdleConnections {
  /** Closes them all and tells how many the server had left open; the same promise each time. */
  readonly close: () => Promise<number>;
}

/** Sends a body and reads it back; the unit is MiB. Fails when not every byte comes back as it was sent. */
export function runEcho(options: {
  readonly url: string;
  readonly sizeBytes: number;
  readonly signal: AbortSignal;
}): Promise<LoadReport> {
  const { url, sizeBytes, signal } = options;
  return runClient({ kind: "echo", url, sizeBytes }, { timeoutMs: ECHO_TIMEOUT_MS, signal });
}

/** Takes events on many connections; latency is how old an event is when it is read. */
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
  // Awaited later, if at all: a run that is interrupted must not end by this.
  exited.catch(() => undefined);
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  // The first line says that all are open, the second how many were left when the input ended.
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
    return JSON.parse(stdout) as LoadReport; // Printed by `client-main.ts` from a value of that type.
  } catch (error) {
    const { stderr = "" } = error as { readonly stderr?: string }; // As `execFile` has it.
    throw new Error(`the client of ${task.kind} failed: ${stderr || String(error)}`, {
      cause: error,
    });
  }
}

function argsOf(task: ClientTask): readonly string[] {
  const main = fileURLToPath(new URL("client-main.ts", import.meta.url));
  return [...process.execArgv, main, JSON.stringify(task)];
}

/** What a client may take to start, to connect and to print. */
const GRACE_MS = 30_000;
const ECHO_TIMEOUT_MS = 180_000;

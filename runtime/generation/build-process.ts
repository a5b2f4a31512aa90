import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

import { RuntimeError } from "../lib/errors.ts";
import { BuildError } from "./build-error.ts";
import type { FromBuild, ToBuild } from "./build-messages.ts";
import type { BuildOptions } from "./build.ts";
import type { Manifest } from "./manifest.ts";

export interface BuildProcessOptions extends BuildOptions {
  /** Longest duration of the build. Default: one minute. */
  timeoutMs?: number | undefined;
  /** The module that the process runs. Default: `build-child` beside this one. */
  entry?: URL | undefined;
}

/**
 * Builds a generation in a process of its own, so that the caller's event loop stays free, and waits until that process
 * has ended. It leaves no process and no incomplete generation behind, also when it fails.
 *
 * @throws RuntimeError ERR_HANDLER_LOAD as `buildGeneration` does, and if the process dies or takes too long; the
 *   signal's reason.
 */
export async function buildInChild(options: BuildProcessOptions): Promise<Manifest> {
  const { signal, timeoutMs = 60_000, entry = findBuildEntry(), ...order } = options;
  signal?.throwIfAborted();
  const timeout = AbortSignal.timeout(timeoutMs);
  const stop = signal ? AbortSignal.any([signal, timeout]) : timeout;
  const child = startChild(entry);
  const outcome = await settle(child, { order, stop });
  // A result that came just before the timeout counts.
  if (outcome.result?.type === "built") return outcome.result.manifest;
  signal?.throwIfAborted();
  if (timeout.aborted) throw failed(`it takes longer than ${timeoutMs} ms`);
  if (outcome.result === null) throw failed(describeDeath(outcome));
  const { code, message, inputs } = outcome.result;
  if (code === null) throw new Error(`Cannot build handlers: ${message}`);
  throw code === "ERR_HANDLER_LOAD"
    ? new BuildError(message, { inputs })
    : new RuntimeError(code, message);
}

interface Outcome {
  result: FromBuild | null;
  /** Why the process could not start. */
  error: Error | null;
  exitCode: number | null;
  exitSignal: NodeJS.Signals | null;
  /** The end of its output on standard error. */
  lastWords: string;
}

function startChild(entry: URL): ChildProcess {
  // From source the process needs the same loader as this one; it must not inherit `--inspect` or `--test`.
  const execArgv = entry.pathname.endsWith(".ts") ? ["--import", import.meta.resolve("tsx")] : [];
  return fork(fileURLToPath(entry), [], { execArgv, stdio: ["ignore", "ignore", "pipe", "ipc"] });
}

/** Finds the module that the build process runs: beside this one, with the same extension. */
export function findBuildEntry(): URL {
  return new URL(`./build-child${extname(import.meta.url)}`, import.meta.url);
}

/** Sends the order and waits for the end of the process. Kills the process when `stop` aborts. */
async function settle(
  child: ChildProcess,
  { order, stop }: { order: ToBuild; stop: AbortSignal },
): Promise<Outcome> {
  const outcome: Outcome = {
    result: null,
    error: null,
    exitCode: null,
    exitSignal: null,
    lastWords: "",
  };
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    outcome.lastWords = (outcome.lastWords + text).slice(-LAST_WORDS_CHARACTERS);
  });
  // Our own entry sends nothing else.
  child.once("message", (result) => (outcome.result = result as FromBuild));
  child.on("error", (error) => (outcome.error ??= error));
  let killTimer: NodeJS.Timeout | undefined;
  const end = (): void => {
    child.kill("SIGTERM");
    killTimer = setTimeout(() => child.kill("SIGKILL"), GRACE_MS);
  };
  stop.addEventListener("abort", end, { once: true });
  child.send(order, (error) => (outcome.error ??= error));
  await new Promise<void>((resolve) => {
    child.once("close", (exitCode, exitSignal) => {
      Object.assign(outcome, { exitCode, exitSignal });
      resolve();
    });
  });
  clearTimeout(killTimer);
  stop.removeEventListener("abort", end);
  // The result may still be in the channel, which ends on its own.
  if (child.connected) await once(child, "disconnect");
  return outcome;
}

const LAST_WORDS_CHARACTERS = 4096;

/** Enough to remove a half-built generation. */
const GRACE_MS = 2000;

function describeDeath({ error, exitCode, exitSignal, lastWords }: Outcome): string {
  const how = exitSignal === null ? `with exit code ${exitCode}` : `by ${exitSignal}`;
  const why = [error?.message, lastWords.trim()].filter(Boolean).join("\n");
  return `the build process ended ${how}${why === "" ? "" : `\n${why}`}`;
}

function failed(problem: string): RuntimeError {
  return new RuntimeError("ERR_HANDLER_LOAD", `Cannot build handlers: ${problem}`);
}

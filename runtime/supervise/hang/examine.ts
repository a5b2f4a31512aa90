import { readFile } from "node:fs/promises";
import { isRuntimeCode, parseFrames, type StackFrame } from "../../lib/stack-frames.ts";
import { openInspector } from "./open-inspector.ts";

/** The visible state of a process that does not answer. */
export interface Findings {
  /** `null`: not known, because there is no `/proc`. */
  processState: ProcessState | null;
  /**
   * Where it runs, innermost first, without Edgicorn's own code. Empty: not known. The process is stopped, or it waits
   * outside of JavaScript, for a child process, a system call, or a native library.
   */
  stack: StackFrame[];
}

/** `running`: it spins. `waiting`: it waits, but not in its event loop. `stopped`: by a signal. */
export type ProcessState = "running" | "waiting" | "stopped" | "exited";

/**
 * Examines a worker whose event loop is blocked. Never rejects; ends with the signal.
 *
 * The worker's own process makes the stack, because only this process can map places to the sources. The worker can go
 * on after that: its inspector is closed again.
 */
export async function examine(
  pid: number,
  { signal, canInspect }: { signal: AbortSignal; canInspect: boolean },
): Promise<Findings> {
  const processState = await readProcessState(pid);
  const isReachable = processState === "running" || processState === "waiting";
  if (!canInspect || !isReachable) return { processState, stack: [] };
  try {
    const inspector = await openInspector(pid, signal);
    try {
      return { processState, stack: toFrames(await inspector.evaluate(STACK, signal)) };
    } finally {
      await inspector.shut(signal);
    }
  } catch {
    // It did not open its inspector in time, or it exited: return the rest.
    return { processState, stack: [] };
  }
}

/**
 * Runs on top of the blocking code, because V8 lets the inspector interrupt it, even within a regular expression or
 * `Atomics.wait`. A `prepareStackTrace` of the handlers would not map the places.
 */
const STACK = `(function here() {
  const { stackTraceLimit, prepareStackTrace } = Error;
  try {
    Error.stackTraceLimit = 256;
    Error.prepareStackTrace = undefined;
    const target = {};
    Error.captureStackTrace(target, here);
    return target.stack;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
    Error.prepareStackTrace = prepareStackTrace;
  }
})()`;

function toFrames(stack: unknown): StackFrame[] {
  if (typeof stack !== "string") return [];
  // The first frame is the expression itself.
  const [, ...frames] = parseFrames(stack);
  return frames.filter(({ position }) => position === null || !isRuntimeCode(position.file));
}

/** Returns the state of a process; `null`: not known. */
export async function readProcessState(pid: number): Promise<ProcessState | null> {
  try {
    return toProcessState(await readFile(`/proc/${pid}/stat`, "utf8"));
  } catch {
    // Not Linux, or the process has exited.
    return null;
  }
}

/** Parses `/proc/PID/stat` (proc_pid_stat(5)): the state follows the name, which may contain anything. */
export function toProcessState(stat: string): ProcessState | null {
  switch (stat.charAt(stat.lastIndexOf(")") + 2)) {
    case "R":
      return "running";
    case "S":
    case "D":
      return "waiting";
    case "T":
    case "t":
      return "stopped";
    case "Z":
    case "X":
      return "exited";
    default:
      return null;
  }
}

import { assertNever } from "../lib/errors.ts";

/**
 * Why a worker was lost.
 *
 * - `crashed`: it ended by itself: by an exit, a fault, an abort, or too much memory.
 * - `hung`: the primary ended it because its event loop was blocked.
 * - `killed`: another process ended it.
 * - `breach`: the primary ended it because it broke the protocol, by a wrong message or by closing its channel.
 * - `retired`: it ended in order, or the primary ended it because it was not needed any more.
 */
export type LossCause = "crashed" | "hung" | "killed" | "breach" | "retired";

/** The end of a process, as its parent sees it. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * Returns why a worker that has exited was lost.
 *
 * @param known Facts that its exit does not show. `givenUp`: why the primary ended it, if it did; `oomKilled`: whether
 *   the system has recently killed a process for its memory, which looks like a SIGKILL from another process.
 */
export function classifyLoss(
  { signal }: ProcessExit,
  known: { givenUp: LossCause | null; oomKilled: boolean },
): LossCause {
  if (known.givenUp !== null) return known.givenUp;
  if (signal === null || OWN_SIGNALS.has(signal)) return "crashed";
  return signal === "SIGKILL" && known.oomKilled ? "crashed" : "killed";
}

/** Tells whether the worker's own work may be the cause, so that the same work may end another worker. */
export function isOwnDoing(cause: LossCause): boolean {
  switch (cause) {
    case "crashed":
    case "hung":
      return true;
    case "killed":
    case "breach":
    case "retired":
      return false;
    default:
      return assertNever(cause);
  }
}

/** Signals that the kernel sends because of the process's own doing. */
const OWN_SIGNALS: ReadonlySet<NodeJS.Signals> = new Set([
  "SIGABRT",
  "SIGBUS",
  "SIGFPE",
  "SIGILL",
  "SIGSEGV",
  "SIGSYS",
  "SIGTRAP",
  "SIGXCPU",
  "SIGXFSZ",
]);

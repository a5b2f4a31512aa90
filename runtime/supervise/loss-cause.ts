import { assertNever } from "../errors.ts";

/**
 * Why a worker was lost.
 *
 * - `crashed`: it ended by itself, by an exit or by what it did (a fault, an abort, too much memory).
 * - `hung`: it was ended because its event loop was blocked.
 * - `killed`: somebody outside ended it.
 * - `breach`: it was ended because what it said, or that it fell silent for good, breaks the protocol.
 * - `retired`: it was ended in order, or because nobody wants it any more.
 */
export type LossCause = "crashed" | "hung" | "killed" | "breach" | "retired";

/** What a process ended with, as its parent sees it. */
export interface ProcessExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/**
 * Why a worker that has exited was lost.
 *
 * @param known What only its parent knows. `givenUp`: why it was ended, if it was by us; `oomKilled`: whether the system
 *   has killed a process for its memory of late, which looks like a SIGKILL from outside.
 */
export function classifyLoss(
  { signal }: ProcessExit,
  known: { givenUp: LossCause | null; oomKilled: boolean },
): LossCause {
  if (known.givenUp !== null) return known.givenUp;
  if (signal === null || OWN_SIGNALS.has(signal)) return "crashed";
  return signal === "SIGKILL" && known.oomKilled ? "crashed" : "killed";
}

/** Whether what the worker was doing may be why it was lost: whoever does the same again may lose the next one. */
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

/** What the kernel sends a process for what it does itself. */
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

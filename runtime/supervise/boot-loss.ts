import { toDisplayPath } from "../lib/display-path.ts";
import { isUserCode, type StackFrame } from "../lib/stack-frames.ts";
import { OOM_KILL } from "./oom-kills.ts";

/** A worker that ended before it was ready, and did not report a reason. */
export interface BootLoss {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** The kernel killed the worker because memory ran out. */
  isOomKill: boolean;
  /** The primary ended the worker at the boot timeout. */
  isOverdue: boolean;
  /** The file that it loaded last: `handlers/x.ts`; `null`: none yet. */
  loading: string | null;
  /** It ran `init` of that file, not its top level. */
  isInit: boolean;
  /** Where the worker was blocked, innermost first; empty: not known, or it was not blocked. */
  stack: readonly StackFrame[];
}

/**
 * Describes why a worker did not become ready, with the file that it loaded and, if it is known, the line. Pure.
 *
 * @returns One line, or a title and a line `file:line:column: text`.
 */
export function describeBootLoss(
  { code, signal, isOomKill, isOverdue, loading, isInit, stack }: BootLoss,
  { bootTimeoutMs }: { bootTimeoutMs: number },
): string {
  const limit = `bootTimeout (${bootTimeoutMs} ms)`;
  const end = signal === null ? `code ${code}` : `signal ${signal}`;
  const oom = isOomKill ? `: ${OOM_KILL}` : "";
  if (loading === null) {
    const how = isOverdue ? `it was not ready within ${limit}` : `it exited with ${end}`;
    return `Cannot start a worker: ${how} before it loaded any handler${oom}`;
  }
  if (!isOverdue) {
    const why = signal === "SIGABRT" ? ", as Node does when its heap is full" : "";
    const did = isInit ? "ran init() of" : "loaded";
    return toLines(loading, `the worker exited with ${end} while it ${did} this file${why}${oom}`);
  }
  const blocked = stack.find(({ position }) => position !== null && isUserCode(position.file));
  const expected = `expected ${isInit ? "init()" : "the top level"} to end`;
  const subject = isInit ? "init() " : "";
  if (!blocked?.position) {
    const blocking = stack.length > 0 ? "blocks the event loop in a package, and " : "";
    const finished = isInit ? "finished" : "finished loading";
    return toLines(
      loading,
      `${subject}${blocking}has not ${finished} within ${limit}, ${expected}`,
    );
  }
  const { file, line, column } = blocked.position;
  const place = [toDisplayPath(file), line, column].filter((part) => part !== null).join(":");
  const caller = isInit ? ` (init() of ${loading})` : ` (while ${loading} loads)`;
  const loadedBy = toDisplayPath(file) === loading ? "" : caller;
  return toLines(
    place,
    `${subject}blocks the event loop, and has not finished within ${limit}, ${expected}${loadedBy}`,
  );
}

function toLines(place: string, text: string): string {
  return `Cannot load handlers:\n${place}: ${text}`;
}

import { closeSync, fstatSync, statSync } from "node:fs";
import { isatty } from "node:tty";
import type { LogDestination } from "./destination.ts";
import { FileDestination, openLogFile } from "./file-destination.ts";
import { openStreamDestination, openStderrSocket } from "./stream-destination.ts";

/** Descriptor of standard error. */
const STDERR = 2;

/** Opens standard error as a log destination. Never throws: where it is closed, lines are lost. */
export function openStderr(): LogDestination {
  const kind = kindOf(STDERR);
  const open = kind === "socket" ? openStderrSocket : () => openStreamDestination(STDERR);
  return (kind === "file" ? null : open()) ?? new FileDestination(STDERR);
}

/**
 * Opens the path of a log: a file to append to, or what it is a name for (`/dev/stdout`, a named pipe).
 *
 * @param options.tell Gets a sentence, for a person, when it cannot be opened or written; once until it can again.
 */
export function openLogPath(
  path: string,
  { tell }: { tell: (problem: string) => void },
): LogDestination {
  const stream = kindOf(path) === "stream" ? openStreamDestination(path) : null;
  return stream ?? new FileDestination(path, tell);
}

/**
 * Makes the file of a log if there is none: before it is opened, at a time when it is not too late to refuse.
 *
 * @throws The error of `node:fs` if it cannot be opened.
 */
export function assertOpens(path: string): void {
  closeSync(openLogFile(path));
}

/** `stream`: what a reader takes, or not. */
function kindOf(target: number | string): "stream" | "socket" | "file" {
  try {
    // With numbers it would write to an array that Node 20's ESM loader reads a moment later, on the assumption that
    // only its own look at a path wrote there: symbolic links of packages would then not be followed.
    if (typeof target === "string") {
      return statSync(target, { bigint: true }).isFIFO() ? "stream" : "file";
    }
    const stats = fstatSync(target, { bigint: true });
    if (stats.isSocket()) return "socket";
    return stats.isFIFO() || isatty(target) ? "stream" : "file";
  } catch {
    return "file"; // Closed, or not there yet: opening or writing will say so.
  }
}

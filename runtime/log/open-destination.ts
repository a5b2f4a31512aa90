import { closeSync, fstatSync, statSync } from "node:fs";
import { isatty } from "node:tty";
import type { LogDestination } from "./destination.ts";
import { FileDestination, openLogFile } from "./file-destination.ts";
import type { Writable } from "node:stream";
import { openSocketDestination, openStreamDestination } from "./stream-destination.ts";

/** Descriptor of standard error. */
const STDERR = 2;

/** Opens standard error as a log destination. Never throws: if standard error is closed, lines are lost. */
export function openStderr(): LogDestination {
  const kind = kindOf(STDERR);
  const open =
    kind === "socket"
      ? () => openSocketDestination(process.stderr)
      : () => openStreamDestination(STDERR);
  return (kind === "file" ? null : open()) ?? new FileDestination(STDERR);
}

/**
 * Opens standard output or standard error for writing without waiting, if it is a pipe or a socket.
 *
 * @param native Returns Node's own stream of the descriptor.
 * @returns `null` for a terminal or a file, and if Node or the system does not support it.
 */
export function openStandardStream(fd: number, native: () => Writable): LogDestination | null {
  if (isatty(fd)) return null;
  switch (kindOf(fd)) {
    case "file":
      return null;
    case "socket":
      return openSocketDestination(native());
    case "stream":
      return openStreamDestination(fd);
  }
}

/**
 * Opens the path of a log: a file for appending, or the device or pipe that it names (`/dev/stdout`, a named pipe).
 *
 * @param options.report Called with a sentence for the operator when the path cannot be opened or written. Called again
 *   only after a success in between.
 */
export function openLogPath(
  path: string,
  { report }: { report: (problem: string) => void },
): LogDestination {
  const stream = kindOf(path) === "stream" ? openStreamDestination(path) : null;
  return stream ?? new FileDestination(path, report);
}

/**
 * Creates the file of a log if it is missing. Run while the config can still be refused.
 *
 * @throws Error of `node:fs` if the file cannot be opened.
 */
export function assertOpens(path: string): void {
  closeSync(openLogFile(path));
}

/** Returns the kind of a target. `stream` is a pipe or a terminal, whose reader may be slow. */
function kindOf(target: number | string): "stream" | "socket" | "file" {
  try {
    // Without big integers, `stat` would write to an array that Node 20's ESM loader reads a moment later. The loader
    // assumes that only its own `stat` writes there. It would then not follow symbolic links of packages.
    if (typeof target === "string") {
      return statSync(target, { bigint: true }).isFIFO() ? "stream" : "file";
    }
    const stats = fstatSync(target, { bigint: true });
    if (stats.isSocket()) return "socket";
    return stats.isFIFO() || isatty(target) ? "stream" : "file";
  } catch {
    return "file"; // The descriptor is closed, or the path is missing: opening or writing reports it.
  }
}

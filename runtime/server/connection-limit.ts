import { readFileSync } from "node:fs";

/** Three for each process that is forked, and a reload has two generations of workers at a time. */
const FILES_PER_WORKER = 6;

/** Most files that the index of the static files keeps open. */
const FILES_OF_STATIC = 512;

/** Listeners, the log, watches, the event loop's own, and a few bodies that wait on disk. */
const OTHER_FILES = 64;

/** Of those. */
const LEAST_SPOOL_FILES = 32;

/**
 * How many files this process may have open, connections included; `null` where that is unknown or unlimited.
 *
 * Node raises the limit to the hard one when it starts.
 *
 * @param readText Reads a file; throws if there is none. For tests.
 */
export function readOpenFilesLimit(
  readText: (path: string) => string = (path) => readFileSync(path, "utf8"),
): number | null {
  try {
    const [, limit] = /^Max open files\s+(\d+)\s/m.exec(readText("/proc/self/limits")) ?? [];
    return limit === undefined ? null : Number(limit);
  } catch {
    // Not Linux.
    return null;
  }
}

/**
 * Fits the number of connections into the limit of open files. At the limit `accept` fails while the connection stays
 * in the queue, and the event loop spins. Besides, no worker could be forked any more.
 *
 * @returns The number for all listeners together, and a warning if it is less than the config asks for.
 */
export function fitConnections(
  wanted: { maxConnections: number; workers: number },
  openFilesLimit: number | null,
): { maxConnections: number; warning: string | null } {
  const reserve = reserveFor(wanted);
  const room = openFilesLimit === null ? Number.POSITIVE_INFINITY : openFilesLimit - reserve;
  if (wanted.maxConnections <= room)
    return { maxConnections: wanted.maxConnections, warning: null };
  const maxConnections = Math.max(1, room);
  const warning =
    `maxConnections is ${maxConnections} instead of ${wanted.maxConnections}: this process may have ` +
    `${openFilesLimit} files open, expected ${wanted.maxConnections + reserve} (raise it with "ulimit -n" or LimitNOFILE=)`;
  return { maxConnections, warning };
}

/**
 * Returns how many bodies may wait on disk at a time. The descriptors that connections leave bound it, and each
 * connection can use two, one for its request and one for its response.
 */
export function fitSpoolFiles(
  fitted: { maxConnections: number; workers: number },
  openFilesLimit: number | null,
): number {
  const most = 2 * fitted.maxConnections;
  if (openFilesLimit === null) return most;
  const room = openFilesLimit - reserveFor(fitted) - fitted.maxConnections + LEAST_SPOOL_FILES;
  return Math.max(LEAST_SPOOL_FILES, Math.min(most, room));
}

function reserveFor({ workers }: { workers: number }): number {
  return workers * FILES_PER_WORKER + FILES_OF_STATIC + OTHER_FILES;
}

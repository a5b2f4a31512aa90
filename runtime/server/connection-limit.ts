import { readFileSync } from "node:fs";

/** Open files for each worker: three for its process, twice, since a reload has two generations of workers at a time. */
const FILES_PER_WORKER = 6;

/** Most files that the index of the static files keeps open. */
const FILES_OF_STATIC = 512;

/** Open files of listeners, the log, watches, the event loop, and a few bodies that wait on disk. */
const OTHER_FILES = 64;

/** The number of these that bodies on disk may use. */
const LEAST_SPOOL_FILES = 32;

/**
 * Returns how many files this process may have open, connections included; `null`: the number is unknown or unlimited.
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
 * in the queue, and the event loop spins. Besides, the primary could not fork any more workers.
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
 * Returns how many bodies may wait on disk at a time. The number of descriptors that connections do not need bounds it.
 * Each connection can use two, one for its request and one for its response.
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

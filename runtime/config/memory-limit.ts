/**
 * Returns the default memory limit of each worker, in bytes. The primary kills a worker above it before the system runs
 * out of memory and kills a process of its own choice, which may be the primary.
 *
 * @param availableBytes Memory for this process and its workers together.
 * @param workers Most workers.
 */
export function defaultMemoryLimit(availableBytes: number, workers: number): number {
  const forWorkers = availableBytes * (1 - PRIMARY_SHARE) - PRIMARY_BYTES;
  return Math.max(LEAST_LIMIT_BYTES, Math.floor(forWorkers / workers / KILL_AT));
}

const MIB = 1024 * 1024;

/** Share of the memory for the primary (connections, bodies on their way) and the rest of the machine. */
const PRIMARY_SHARE = 0.1;
const PRIMARY_BYTES = 128 * MIB;

/** Memory of a worker that is killed, as a multiple of its limit (supervise/memory-bounds.ts). */
const KILL_AT = 1.5;

/** Least limit. Node with a framework takes half of it: with less, each worker would be replaced as soon as it is warm. */
const LEAST_LIMIT_BYTES = 256 * MIB;

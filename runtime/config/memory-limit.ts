/**
 * Returns the default limit of each worker. With it, workers are killed for their memory before the system has none
 * left and chooses a victim itself, which may be the primary.
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

/** How many times its limit a worker may have before it is killed: supervise/memory-bounds.ts. */
const KILL_AT = 1.5;

/** Node with a framework takes half of it: with less, each worker would be replaced as soon as it is warm. */
const LEAST_LIMIT_BYTES = 256 * MIB;

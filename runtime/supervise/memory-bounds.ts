/** Bounds for the memory of one worker, in bytes. */
export interface MemoryBounds {
  /** A fresh worker replaces a worker that uses more, in order. */
  readonly recycleBytes: number;
  /** Largest heap. V8 ends a worker whose objects need more, and prints where. */
  readonly heapBytes: number;
  /** The primary kills a worker that uses more: it may be too busy allocating to drain. */
  readonly killBytes: number;
}

/**
 * Derives the bounds from one limit.
 *
 * A worker that leaks passes the first bound, and is replaced while others serve. A worker that allocates quickly
 * passes the second bound with objects, or the third with buffers.
 */
export function toMemoryBounds(limitBytes: number): MemoryBounds {
  return {
    recycleBytes: limitBytes,
    heapBytes: limitBytes * HEAP_FACTOR,
    killBytes: limitBytes * 1.5,
  };
}

const HEAP_FACTOR = 1.25;

/**
 * Returns the bound that a worker's heap must be given; `null`: Node's own bound will do.
 *
 * A bound of its own makes a worker boot 30 ms later: V8 refuses the compiled code that Node carries for its own modules,
 * since that was compiled under other flags. An automatic limit is therefore set only where it is lower than Node's.
 *
 * @param limitBytes The worker's memory limit; 0: none.
 * @param usedHeapBytes The heap in use above which a worker with Node's own bound is recycled; 0: the operator chose
 *   `limitBytes`.
 */
export function pickHeapBound(limitBytes: number, usedHeapBytes: number): number | null {
  if (limitBytes === 0 || (usedHeapBytes > 0 && limitBytes >= usedHeapBytes)) return null;
  return toMemoryBounds(limitBytes).heapBytes;
}

/** Returns the heap in use above which a worker is recycled before it reaches the bound of its heap. */
export function toUsedHeapLimit(heapBytes: number): number {
  return heapBytes / HEAP_FACTOR;
}

/**
 * Returns the limit for a worker when its pool's limit has changed since its start: the lower one. Its heap was bounded
 * at the start, so under a higher limit it would crash instead of being replaced in order.
 *
 * @param startedUnder In bytes, like `current`; 0: no limit.
 */
export function pickMemoryLimit(startedUnder: number, current: number): number {
  if (startedUnder === 0 || current === 0) return Math.max(startedUnder, current);
  return Math.min(startedUnder, current);
}

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
  return { recycleBytes: limitBytes, heapBytes: limitBytes * 1.25, killBytes: limitBytes * 1.5 };
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

/** How much memory one worker may take, in bytes. */
export interface MemoryBounds {
  /** Above it a fresh worker takes its place, in order. */
  readonly recycleBytes: number;
  /** The largest heap of its objects: above it V8 ends the process, and says where. */
  readonly heapBytes: number;
  /** Above it the primary kills it: it may be too busy taking memory to do anything else. */
  readonly killBytes: number;
}

/**
 * The bounds that follow from one limit.
 *
 * A worker that leaks passes the first and has time to be replaced while others serve. One that takes all at once passes
 * the second, if it takes it for objects, or the third, if for buffers.
 */
export function toMemoryBounds(limitBytes: number): MemoryBounds {
  return { recycleBytes: limitBytes, heapBytes: limitBytes * 1.25, killBytes: limitBytes * 1.5 };
}

/**
 * The limit that a worker has when that of its pool has changed since it was started: the lower one. Its heap was bounded
 * when it was started, so under a higher limit it would not be replaced in order, but crash.
 *
 * @param startedUnder In bytes, as the other one; 0: none.
 */
export function pickMemoryLimit(startedUnder: number, current: number): number {
  if (startedUnder === 0 || current === 0) return Math.max(startedUnder, current);
  return Math.min(startedUnder, current);
}

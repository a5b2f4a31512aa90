/** A worker that was ready for less than this and then died may be in a loop. */
const SHORT_LIFE_MS = 1_000;

/** Between short lives: slows a loop down, and yet the worker is back within a second. */
const SHORT_LIFE_DELAY_MS = 250;

const FIRST_BOOT_DELAY_MS = 100;
const LONGEST_BOOT_DELAY_MS = 10_000;

/** How a worker's life ended, as far as it matters for the next one. */
export interface Life {
  /** `null`: it never became ready. */
  readyForMs: number | null;
}

/** How many workers in a row could not boot, after one more life. */
export function countFailedBoots(before: number, life: Life): number {
  return life.readyForMs === null ? before + 1 : 0;
}

/**
 * How long to wait before the next start, in ms.
 *
 * A worker that served is replaced at once, since a crash under load must not cost capacity; one that served only
 * briefly, a moment later; one that could not boot, after a wait that doubles each time.
 */
export function restartDelayMs(failedBoots: number, life: Life): number {
  if (life.readyForMs !== null) return life.readyForMs < SHORT_LIFE_MS ? SHORT_LIFE_DELAY_MS : 0;
  return Math.min(LONGEST_BOOT_DELAY_MS, FIRST_BOOT_DELAY_MS * 2 ** (failedBoots - 1));
}

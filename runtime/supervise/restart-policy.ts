/** A worker that exits after being ready for less than this may be in a crash loop. */
const SHORT_LIFE_MS = 1_000;

/** Delay after a short life: it slows a crash loop down, but the worker is back within a second. */
const SHORT_LIFE_DELAY_MS = 250;

const FIRST_BOOT_DELAY_MS = 100;
const LONGEST_BOOT_DELAY_MS = 10_000;

/** The parts of a worker's life that matter for its replacement. */
export interface Life {
  /** `null`: it never became ready. */
  readyForMs: number | null;
}

/** Returns how many workers in a row could not boot, after one more life. */
export function countFailedBoots(before: number, life: Life): number {
  return life.readyForMs === null ? before + 1 : 0;
}

/**
 * Returns how long to wait before the next start, in ms.
 *
 * A worker that served is replaced at once, since a crash under load must not cost capacity. A worker that served only
 * briefly is replaced a moment later. A worker that could not boot is replaced after a wait that doubles each time.
 */
export function restartDelayMs(failedBoots: number, life: Life): number {
  if (life.readyForMs !== null) return life.readyForMs < SHORT_LIFE_MS ? SHORT_LIFE_DELAY_MS : 0;
  return Math.min(LONGEST_BOOT_DELAY_MS, FIRST_BOOT_DELAY_MS * 2 ** (failedBoots - 1));
}

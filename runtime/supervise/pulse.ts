/**
 * What a worker's silence means.
 *
 *     live ──a tick without a sign of life──▶ stalled ──as many ticks as the timeout has──▶ hung
 *      ▲───────────── anything that it sends ────┘
 *
 * `live`: it gets work. `stalled`: it gets no new work, others or the queue do. `hung`: it is killed; nothing leads back.
 */
export type Verdict = "live" | "stalled" | "hung";

/**
 * Silence is counted in ticks of the primary during which a ping stood unanswered, and not by the clock: a machine that
 * slept, or a container that was frozen, wakes up one tick later, however long it was.
 *
 * @param silentTicks How many in a row.
 * @param hangTicks How many make it hung; `Infinity`: it never is.
 */
export function judge(silentTicks: number, hangTicks: number): Verdict {
  if (silentTicks >= hangTicks) return "hung";
  return silentTicks > 0 ? "stalled" : "live";
}

/** How often workers are asked, and after how many ticks of silence one is hung. */
export interface Rhythm {
  tickMs: number;
  hangTicks: number;
}

/** @param hangTimeoutMs Longest silence; 0: any. */
export function toRhythm(hangTimeoutMs: number): Rhythm {
  if (hangTimeoutMs === 0) return { tickMs: LONGEST_TICK_MS, hangTicks: Infinity };
  const tickMs = Math.min(LONGEST_TICK_MS, Math.ceil(hangTimeoutMs / LEAST_TICKS));
  return { tickMs, hangTicks: Math.ceil(hangTimeoutMs / tickMs) };
}

const LONGEST_TICK_MS = 1_000;

/** One late tick of a busy machine must not look like the whole of a short timeout. */
const LEAST_TICKS = 4;

/**
 * The meaning of a worker's silence.
 *
 *     live ──a tick without a sign of life──▶ stalled ──as many ticks as the timeout has──▶ hung
 *      ▲──────────────────── any byte ──────────┘
 *
 * `live`: it gets work. `stalled`: new work goes to other workers, or queues. `hung`: it is killed, even if it sends
 * again.
 */
export type Verdict = "live" | "stalled" | "hung";

/**
 * Judges a worker's silence. Silence counts in ticks of the primary during which a ping was unanswered, not by the
 * clock. The sleep of a machine, or of a frozen container, counts as one tick, however long it was.
 *
 * @param silentTicks Silent ticks in a row.
 * @param hangTicks Silent ticks after which it is hung; `Infinity`: it never is.
 */
export function judge(silentTicks: number, hangTicks: number): Verdict {
  if (silentTicks >= hangTicks) return "hung";
  return silentTicks > 0 ? "stalled" : "live";
}

/** Time between pings, and the number of silent ticks after which a worker is hung. */
export interface Rhythm {
  tickMs: number;
  hangTicks: number;
}

/** @param hangTimeoutMs Longest silence; 0: no limit. */
export function toRhythm(hangTimeoutMs: number): Rhythm {
  if (hangTimeoutMs === 0) return { tickMs: LONGEST_TICK_MS, hangTicks: Infinity };
  const tickMs = Math.min(LONGEST_TICK_MS, Math.ceil(hangTimeoutMs / LEAST_TICKS));
  return { tickMs, hangTicks: Math.ceil(hangTimeoutMs / tickMs) };
}

const LONGEST_TICK_MS = 1_000;

/** One late tick of a busy machine must not look like the whole of a short timeout. */
const LEAST_TICKS = 4;

/**
 * The meaning of a worker's silence.
 *
 *     live ──ticks without a sign of life──▶ stalled ──as many ticks as the timeout has──▶ hung
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
 */
export function judge(
  silentTicks: number,
  { stallTicks, hangTicks }: Pick<Rhythm, "stallTicks" | "hangTicks">,
): Verdict {
  if (silentTicks >= hangTicks) return "hung";
  return silentTicks >= stallTicks ? "stalled" : "live";
}

/** Time between pings, and numbers of silent ticks. */
export interface Rhythm {
  tickMs: number;
  /** After so many the worker gets no new work. */
  stallTicks: number;
  /** After so many the primary looks where the worker is blocked; `Infinity`: it never does. */
  warnTicks: number;
  /** After so many the worker is hung; `Infinity`: it never is. */
  hangTicks: number;
}

/**
 * Derives the rhythm of pings from the settings.
 *
 * @param options.hangTimeoutMs Longest silence; 0: no limit.
 * @param options.blockWarnMs Silence after which a warning is due; 0: never.
 */
export function toRhythm({
  hangTimeoutMs,
  blockWarnMs,
}: {
  hangTimeoutMs: number;
  blockWarnMs: number;
}): Rhythm {
  const stallMs =
    hangTimeoutMs === 0
      ? LONGEST_TICK_MS
      : Math.min(LONGEST_TICK_MS, Math.ceil(hangTimeoutMs / LEAST_TICKS));
  const tickMs = blockWarnMs === 0 ? stallMs : Math.min(stallMs, blockWarnMs);
  return {
    tickMs,
    stallTicks: Math.round(stallMs / tickMs),
    warnTicks: blockWarnMs === 0 ? Infinity : Math.ceil(blockWarnMs / tickMs),
    hangTicks: hangTimeoutMs === 0 ? Infinity : Math.ceil(hangTimeoutMs / tickMs),
  };
}

const LONGEST_TICK_MS = 1_000;

/** One late tick of a busy machine must not look like the whole of a short timeout. */
const LEAST_TICKS = 4;

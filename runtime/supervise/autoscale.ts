/** Between how many workers a pool may choose. */
export interface ScaleBounds {
  readonly least: number;
  readonly most: number;
}

/** How busy a pool is. */
export interface ScaleSample {
  /** How many are desired now. */
  readonly desired: number;
  /** How many of those serve. */
  readonly ready: number;
  /** Which part of their time they were busy since the last sample, on average: 0 to 1. */
  readonly utilization: number;
  /** For how long the exchange that waits longest has waited for a worker. */
  readonly queueAgeMs: number;
}

/** Since when it has been busy, or idle enough for one worker less; `null`: it is not. */
export interface ScaleState {
  readonly busySinceMs: number | null;
  readonly idleSinceMs: number | null;
}

export const UNDECIDED: ScaleState = { busySinceMs: null, idleSinceMs: null };

/** Above it a worker has no room for a burst. */
const BUSY_UTILIZATION = 0.75;

/** One worker less must leave the others less busy than this: well below what would call it back. */
const IDLE_UTILIZATION = 0.5;

/** What waits longer than this would be served by one more worker. */
const BUSY_QUEUE_MS = 100;

/** Up quickly: the time in which a burst that is none has shown itself. */
const BUSY_FOR_MS = 2_000;

/** Down slowly: the next burst may be on its way, and a worker that waits costs memory only. */
const IDLE_FOR_MS = 60_000;

/**
 * How many workers a pool should have. Pure; to be asked every second or so.
 *
 * One more or one less at a time, and the next only after all that are desired serve and the load has been looked at
 * again for as long. A constant load never makes it go back on what it did: going from n to n + 1 takes a load above
 * 0.75 n workers, going back one below 0.5 n.
 */
export function decideScale(
  state: ScaleState,
  sample: ScaleSample,
  { least, most, nowMs }: ScaleBounds & { nowMs: number },
): { desired: number; state: ScaleState } {
  const { desired, ready, utilization, queueAgeMs } = sample;
  const within = Math.min(Math.max(desired, least), most);
  if (within !== desired) return { desired: within, state: UNDECIDED };
  // What is starting, or was lost, will take its share: until then nobody knows what is enough.
  if (ready !== desired) return { desired, state: UNDECIDED };

  const isWaiting = queueAgeMs > BUSY_QUEUE_MS;
  if (isWaiting || utilization > BUSY_UTILIZATION) {
    if (desired === most) return { desired, state: UNDECIDED };
    const sinceMs = state.busySinceMs ?? nowMs;
    if (nowMs - sinceMs >= BUSY_FOR_MS) return { desired: desired + 1, state: UNDECIDED };
    return { desired, state: { busySinceMs: sinceMs, idleSinceMs: null } };
  }
  if (desired > least && (utilization * desired) / (desired - 1) < IDLE_UTILIZATION) {
    const sinceMs = state.idleSinceMs ?? nowMs;
    if (nowMs - sinceMs >= IDLE_FOR_MS) return { desired: desired - 1, state: UNDECIDED };
    return { desired, state: { busySinceMs: null, idleSinceMs: sinceMs } };
  }
  return { desired, state: UNDECIDED };
}

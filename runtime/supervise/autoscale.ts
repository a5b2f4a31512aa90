/** The least and the most workers of a pool that scales by itself. */
export interface ScaleBounds {
  readonly least: number;
  readonly most: number;
}

/** The load of a pool. */
export interface ScaleSample {
  /** The desired number of workers now. */
  readonly desired: number;
  /** How many workers serve. */
  readonly ready: number;
  /** Average share of the time since the last sample in which they were busy: 0 to 1. */
  readonly utilization: number;
  /** How long the oldest queued exchange has waited. */
  readonly queueAgeMs: number;
}

/** Since when the pool has been busy, or idle enough for one worker less; `null`: it is not. */
export interface ScaleState {
  readonly busySinceMs: number | null;
  readonly idleSinceMs: number | null;
}

export const UNDECIDED: ScaleState = { busySinceMs: null, idleSinceMs: null };

/** A worker that is busier than this has no room for a burst. */
const BUSY_UTILIZATION = 0.75;

/** After the removal of a worker the others must be less busy than this, well below the bound for one more worker. */
const IDLE_UTILIZATION = 0.5;

/** An exchange that waits longer needs one more worker. */
const BUSY_QUEUE_MS = 100;

/** How long a pool is busy before it grows. A short burst is over in this time. */
const BUSY_FOR_MS = 2_000;

/** How long a pool is idle before it shrinks. The next burst may be near, and an idle worker only costs memory. */
const IDLE_FOR_MS = 60_000;

/**
 * Decides how many workers a pool should have. Pure; call it about every second.
 *
 * Adds or removes one worker at a time. The next change comes only when all desired workers serve and the load has been
 * measured again for as long. A constant load never makes it undo a change: going from n to n + 1 takes a load above
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
  // Workers that are starting will take their share. Until then the load says nothing.
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

import type { Schedule } from "../lib/schedules.ts";

/** A run that begins later than this after its time was missed. */
export const LATE_MS = 10_000;

/** Most runs of a job that wait for the run before. */
export const MOST_WAITING = 100;

/** Most runs of a job at the same time, with the overlap "allow". */
export const MOST_AT_A_TIME = 20;

/** Decisions about the times of a job that have come. */
export interface Due {
  /** Times to run for, oldest first. */
  readonly runs: readonly number[];
  /** Number of times for which no run began in time. */
  readonly missed: number;
}

/**
 * Decides which of the times that have come get a run. Times that come late were missed: the server was down, or its
 * process was stopped.
 *
 * @param times Oldest first, none after `nowMs`.
 * @param options.owed Times whose run was interrupted or still waited when its server ended. They count as late.
 */
export function decideDue(
  times: readonly number[],
  { nowMs, catchUp, owed = [] }: { nowMs: number; catchUp: Catching; owed?: readonly number[] },
): Due {
  const missed = times.filter((time) => nowMs - time > LATE_MS);
  const fresh = times.slice(missed.length);
  const late = [...new Set([...owed, ...missed])].toSorted((a, b) => a - b);
  switch (catchUp) {
    case "none":
      return { runs: fresh, missed: missed.length };
    case "one":
      // A run that is due anyway makes up for all others.
      return { runs: fresh.length > 0 ? fresh : late.slice(-1), missed: missed.length };
    case "all":
      return { runs: [...late, ...fresh], missed: missed.length };
  }
}

type Catching = Schedule["catchUp"];

/** The next step for a run: it begins, waits for the run before, or is left out. */
export type Step = "run" | "wait" | "skip";

/**
 * Decides about a run whose time has come.
 *
 * @param options.isLate The run makes up for a missed one. It waits where another one would be left out.
 */
export function decideOverlap(
  { running, waiting }: { running: number; waiting: number },
  { overlap, isLate }: { overlap: Schedule["overlap"]; isLate: boolean },
): Step {
  if (running === 0 && waiting === 0) return "run";
  const mayWait = waiting < MOST_WAITING;
  if (overlap === "allow" && !isLate && running < MOST_AT_A_TIME) return "run";
  if (overlap !== "skip" || isLate) return mayWait ? "wait" : "skip";
  return "skip";
}

/**
 * Tells whether the run at the head of the waiting ones begins. Runs that may overlap do not wait for each other, but runs that make
 * up for missed ones go one at a time.
 */
export function mayBegin(
  { running, runningLate }: { running: number; runningLate: number },
  { overlap, isLate }: { overlap: Schedule["overlap"]; isLate: boolean },
): boolean {
  if (overlap !== "allow") return running === 0;
  return running < MOST_AT_A_TIME && !(isLate && runningLate > 0);
}

/** The clock of the machine may be set back by so much without effect: no time comes twice. */
export const CLOCK_STEP_MS = 5 * 60_000;

/**
 * Returns the time after which the next time of a job is looked for. If the clock was set back by more than five minutes,
 * the job follows the clock.
 */
export function pickStart(lastMs: number, nowMs: number): number {
  return lastMs - nowMs > CLOCK_STEP_MS ? nowMs : lastMs;
}

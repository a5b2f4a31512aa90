import { Cron } from "croner";
import type { Schedule } from "./schedules.ts";

/** Most times that are listed: each takes up to a millisecond. */
const MOST_TIMES = 100;

/** Due times of a schedule. */
export interface DueTimes {
  /** Oldest first; at most 100, the last ones of more. In ms since 1970. */
  readonly times: readonly number[];
  /** Whether there were more. */
  readonly hasMore: boolean;
}

/**
 * The times of a schedule, in its time zone.
 *
 * A time that the change of the clock leaves out comes an hour later, and a time that the change repeats comes once. `*` as
 * the hour runs through both hours, so that intervals stay real.
 */
export class CronTimes {
  readonly #cron: Cron;

  /** @throws Error for an expression or a time zone that is wrong. */
  constructor({ cron, timeZone }: Pick<Schedule, "cron" | "timeZone">) {
    // Without the tables of time zones, which take most of the time.
    const zone = timeZone === "UTC" ? { utcOffset: 0 } : { timezone: timeZone };
    this.#cron = new Cron(cron, { ...zone, paused: true });
  }

  /** Returns the first time after the given one; `null`: there is none. */
  next(afterMs: number): number | null {
    return this.#cron.nextRun(new Date(afterMs))?.getTime() ?? null;
  }

  /** Returns the times after the first given time, up to the second one. */
  between(afterMs: number, untilMs: number): DueTimes {
    const times: number[] = [];
    let at = this.next(afterMs);
    while (at !== null && at <= untilMs) {
      if (times.length === MOST_TIMES) return { times: this.#last(untilMs), hasMore: true };
      times.push(at);
      at = this.next(at);
    }
    return { times, hasMore: false };
  }

  #last(untilMs: number): number[] {
    // The library looks for times before the given one.
    const latest = this.#cron.previousRuns(MOST_TIMES, new Date(untilMs + 1_000));
    return latest
      .map((date) => date.getTime())
      .filter((time) => time <= untilMs)
      .toSorted((a, b) => a - b);
  }
}

/** Describes why a schedule can never run; `null`: it can. */
export function findScheduleProblem(schedule: Schedule): string | null {
  const { cron, timeZone } = schedule;
  if (!isTimeZone(timeZone)) {
    return `config.schedule has the time zone ${JSON.stringify(timeZone)}, expected a name such as "UTC" or "Europe/Berlin"`;
  }
  const shown = `config.schedule has the cron expression ${JSON.stringify(cron)}`;
  try {
    const isEmpty = new CronTimes(schedule).next(Date.now()) === null;
    return isEmpty ? `${shown}, which names no time, expected a date that exists` : null;
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : "";
    return `${shown}, expected fields as in "0 3 * * 1-5": ${reason}`;
  }
}

function isTimeZone(name: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone !== "";
  } catch {
    return false;
  }
}

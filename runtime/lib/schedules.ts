/** Values of `overlap`: how a run is treated whose time comes before the run before has ended. */
export const OVERLAPS = ["skip", "queue", "allow"] as const;

/** Values of `catchUp`: which missed runs are made up for. */
export const CATCH_UPS = ["none", "one", "all"] as const;

/** Times at which `scheduled()` of a handler runs. Plain data. */
export interface Schedule {
  /** Five fields, six with seconds in front, or a name such as `@hourly`. */
  readonly cron: string;
  /** IANA name: `Europe/Berlin`. */
  readonly timeZone: string;
  readonly overlap: (typeof OVERLAPS)[number];
  readonly catchUp: (typeof CATCH_UPS)[number];
}

/** Ends the sentence "config.schedule is y, expected ...". */
export const SCHEDULE_EXPECTED =
  'a cron expression such as "0 3 * * *", { cron, timeZone, overlap, catchUp } with overlap "skip", "queue" or "allow" and catchUp "none", "one" or "all", or a list of them, each once';

/**
 * Reads the value of `config.schedule`. Ranges of fields and names of time zones are checked by `findScheduleProblem`.
 *
 * @returns `null`: it has another form.
 */
export function toSchedules(value: unknown): Schedule[] | null {
  const items: unknown[] = Array.isArray(value) ? value : [value];
  const schedules = items.flatMap((item) => toSchedule(item) ?? []);
  if (schedules.length < items.length || schedules.length === 0) return null;
  const different = new Set(schedules.map(({ cron, timeZone }) => `${cron}\n${timeZone}`));
  return different.size < schedules.length ? null : schedules;
}

const FORM = /^(?:@[a-z]+|\S+(?: \S+){4,5})$/i;

function toSchedule(item: unknown): Schedule | null {
  if (typeof item === "string") return toSchedule({ cron: item });
  if (typeof item !== "object" || item === null) return null;
  const { cron, timeZone = "UTC", overlap = "skip", catchUp = "one", ...rest } = item as Item;
  if (Object.keys(rest).length > 0) return null;
  if (typeof cron !== "string" || typeof timeZone !== "string") return null;
  const plain = cron.trim().replaceAll(/\s+/g, " ");
  const ownOverlap = OVERLAPS.find((each) => each === overlap);
  const ownCatchUp = CATCH_UPS.find((each) => each === catchUp);
  if (!FORM.test(plain) || ownOverlap === undefined || ownCatchUp === undefined) return null;
  return { cron: plain, timeZone, overlap: ownOverlap, catchUp: ownCatchUp };
}

/** An object of unknown form. */
interface Item {
  cron?: unknown;
  timeZone?: unknown;
  overlap?: unknown;
  catchUp?: unknown;
}

import { CASES, type Case, type ServerId } from "./cases.ts";

/** One row of one table: a server under the load of a case. */
export interface Entry {
  /** `case/server`. */
  readonly id: string;
  readonly case: Case;
  readonly server: ServerId;
}

/** All rows of all cases, in the order of the tables. */
export function allEntries(): readonly Entry[] {
  return CASES.flatMap((each) =>
    each.servers.map((server) => ({ id: `${each.id}/${server}`, case: each, server })),
  );
}

/** Every name which `pickEntries` understands: cases, servers, and `case/server`. */
export function entryNames(): ReadonlySet<string> {
  return new Set(allEntries().flatMap((entry) => namesOf(entry)));
}

/** The rows that one of the names stands for; all of them for no name. */
export function pickEntries(names: readonly string[]): readonly Entry[] {
  if (names.length === 0) return allEntries();
  return allEntries().filter((entry) => namesOf(entry).some((name) => names.includes(name)));
}

/**
 * The order of one round: the same circle, entered further on each time.
 *
 * Over all rounds each row comes early, late and in the middle, so a machine that gets slower (or warmer) during
 * a round favours none of them.
 */
export function orderOfRound<T>(items: readonly T[], round: number, rounds: number): readonly T[] {
  const start = Math.floor((items.length * round) / rounds) % Math.max(items.length, 1);
  return [...items.slice(start), ...items.slice(0, start)];
}

function namesOf(entry: Entry): readonly string[] {
  return [entry.case.id, entry.server, entry.id];
}

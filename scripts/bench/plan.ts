import { CASES, type Case } from "./cases.ts";
import type { ServerId } from "./servers.ts";

/** One row of one table: a server under the load of a case. */
export interface Entry {
  /** `case/server`. */
  readonly id: string;
  readonly case: Case;
  readonly server: ServerId;
}

/** The scope: the cases that names of servers, or no names at all, choose from. */
export type Scope = "default" | "all";

/** All rows of all cases, in the order of the tables. */
export function allEntries(): readonly Entry[] {
  return CASES.flatMap((each) =>
    each.servers.map((server) => ({ id: `${each.id}/${server}`, case: each, server })),
  );
}

/** Every name that `pickEntries` understands: cases, `case/server`, and servers of the cases in the scope. */
export function entryNames(scope: Scope): ReadonlySet<string> {
  return new Set(allEntries().flatMap((entry) => namesOf(entry, scope)));
}

/**
 * Returns the rows that one of the names stands for. Without names, returns all rows in the scope.
 *
 * A named case counts even outside of the scope. A named server stands for its rows in the scope.
 */
export function pickEntries(names: readonly string[], scope: Scope): readonly Entry[] {
  if (names.length === 0) return allEntries().filter((entry) => isInScope(entry, scope));
  return allEntries().filter((entry) => namesOf(entry, scope).some((name) => names.includes(name)));
}

/**
 * Returns the order of one round. Each round begins further on in the same circle.
 *
 * Over all rounds each row comes early, late and in the middle. A machine that gets slower (or warmer) during a round
 * therefore favours none of them.
 */
export function orderOfRound<T>(items: readonly T[], round: number, rounds: number): readonly T[] {
  const start = Math.floor((items.length * round) / rounds) % Math.max(items.length, 1);
  return [...items.slice(start), ...items.slice(0, start)];
}

function namesOf(entry: Entry, scope: Scope): readonly string[] {
  return [entry.case.id, entry.id, ...(isInScope(entry, scope) ? [entry.server] : [])];
}

function isInScope(entry: Entry, scope: Scope): boolean {
  return scope === "all" || entry.case.isDefault;
}

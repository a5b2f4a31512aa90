import type { Entry } from "./plan.ts";
import type { Sample } from "./statistics.ts";
import type { Turn } from "./turn.ts";

/** What became of one row: its figures so far, and whether there will be more. */
export interface Result {
  readonly entry: Entry;
  readonly state: ResultState;
  readonly turns: readonly Turn[];
}

export type ResultState =
  | { readonly kind: "measured" }
  /** Never tried, e.g. because a program is not installed. */
  | { readonly kind: "skipped"; readonly reason: string }
  /** A round gave no figures; the row was not tried again. */
  | { readonly kind: "failed"; readonly round: number; readonly reason: string };

/** The figures of a turn that stand for themselves and can be compared. */
export type Metric = Exclude<keyof Turn, "round" | "count">;

/**
 * One figure of a row, round by round; empty for one that its load does not give, or a row that is absent or failed.
 *
 * A row that failed in its last round has no figures from those before either: it must not win by them.
 */
export function samplesOf(
  results: readonly Result[],
  entryId: string,
  metric: Metric,
): readonly Sample[] {
  const result = results.find(({ entry }) => entry.id === entryId);
  if (result?.state.kind !== "measured") return [];
  return result.turns.flatMap((turn) => {
    const value = turn[metric];
    return value === undefined ? [] : [{ round: turn.round, value }];
  });
}

import type { Entry } from "./plan.ts";
import type { Sample } from "./statistics.ts";
import type { Turn } from "./turn.ts";

/** The state of one row: its figures so far, and whether there will be more. */
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

/** The figures of a turn that can be compared. */
export type Metric = Exclude<keyof Turn, "round" | "count">;

/**
 * Returns one figure of a row, round by round. Empty for a figure that the load lacks, and for a row that is absent or
 * failed.
 *
 * A row that failed in its last round loses its earlier figures too: it must not win by them.
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

import { pickNearest } from "../../../lib/nearest.ts";
import type { Report } from "../report.ts";
import type { Table } from "./item.ts";

/** Reports keys of a table that Workers does not know either, each with the nearest known key. */
export function reportUnknown(
  table: Table,
  known: readonly string[],
  { report }: { report: Report },
): void {
  for (const key of table.keys) {
    const other = known.includes(key) ? null : table.get(key);
    if (other === null) continue;
    const near = pickNearest(key, known);
    const hint = near === null ? "" : `: did you mean ${near}?`;
    report.lost(other.where, `this key is not known, expected one of ${known.join(", ")}${hint}`);
  }
}

/** Reports keys of a table that have no effect here. */
export function reportUnused(
  table: Table,
  reasons: Readonly<Record<string, string>>,
  { report }: { report: Report },
): void {
  for (const [key, reason] of Object.entries(reasons)) {
    const found = table.get(key);
    if (found !== null) report.unused(found.where, reason);
  }
}

// Writes the table of docs/metrics.md from the families in runtime/metrics/: `npm run docs`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FAMILIES, nameOf } from "../runtime/metrics/families.ts";
import { withTable } from "./docs-table.ts";

const PAGE = join(import.meta.dirname, "../docs/metrics.md");

/** Returns the page with a table of the metrics in the code. */
export function withMetricsTable(page: string): string {
  return withTable(page, "metrics", [
    ["metric", "type", "unit", "labels", "meaning"],
    ...FAMILIES.map((family) => [
      `\`${nameOf(family)}\``,
      family.type,
      family.unit ?? "",
      family.labels.map((label) => `\`${label}\``).join(" "),
      family.help,
    ]),
  ]);
}

/** Reads the page. */
export function readMetricsPage(): string {
  return readFileSync(PAGE, "utf8");
}

if (import.meta.filename === process.argv[1]) {
  writeFileSync(PAGE, withMetricsTable(readMetricsPage()));
}

// Writes the table of docs/metrics.md from the families in runtime/metrics/: `npm run docs`.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { FAMILIES, nameOf } from "../runtime/metrics/families.ts";

const PAGE = join(import.meta.dirname, "../docs/metrics.md");
const BEGIN = "<!-- metrics -->\n";
const END = "<!-- /metrics -->\n";

/** Returns the page with a table of the metrics in the code. */
export function withMetricsTable(page: string): string {
  const [before, after] = [page.indexOf(BEGIN), page.indexOf(END)];
  if (before === -1 || after < before) throw new TypeError(`the page has no ${BEGIN}${END}`);
  return page.slice(0, before) + BEGIN + formatTable() + page.slice(after);
}

/** Reads the page. */
export function readMetricsPage(): string {
  return readFileSync(PAGE, "utf8");
}

function formatTable(): string {
  const rows = [
    ["metric", "type", "unit", "labels", "meaning"],
    ["---", "---", "---", "---", "---"],
    ...FAMILIES.map((family) => [
      `\`${nameOf(family)}\``,
      family.type,
      family.unit ?? "",
      family.labels.map((label) => `\`${label}\``).join(" "),
      family.help,
    ]),
  ];
  return `\n${rows.map((cells) => `| ${cells.join(" | ")} |\n`).join("")}\n`;
}

if (import.meta.filename === process.argv[1]) {
  writeFileSync(PAGE, withMetricsTable(readMetricsPage()));
}

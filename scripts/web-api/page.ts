import { withTable } from "../docs-table.ts";
import type { Finding } from "./read-results.ts";
import { COMMON, REASONS, type Requirement, WORKERS } from "./requirements.ts";

/** The versions of Node that have a column. */
export const COLUMNS = ["20", "22", "24"] as const;

/** Tables of the page by their marks. */
export type ResultTables = ReadonlyMap<string, readonly (readonly string[])[]>;

/**
 * Returns the tables of the page: one row for each global, one column for each Node.
 *
 * @param results Findings by the major number of Node. A version without findings gets an empty column.
 */
export function toResultTables(results: ReadonlyMap<string, readonly Finding[]>): ResultTables {
  const rowsOf = (requirements: readonly Requirement[]): string[][] => [
    [
      "global",
      "specification",
      "members that the test looks for",
      ...COLUMNS.map((major) => `Node ${major}`),
    ],
    ...requirements.map(({ name, source, members }) => [
      `\`${name}\``,
      source,
      members.map((member) => `\`${member}\``).join(" "),
      ...COLUMNS.map((major) => {
        const finding = results.get(major)?.find((each) => each.name === name);
        return finding === undefined ? "" : toCell(finding);
      }),
    ]),
  ];
  return new Map([
    ["interfaces", rowsOf(COMMON.filter(({ group }) => group === "interface"))],
    ["functions", rowsOf(COMMON.filter(({ group }) => group === "function or property"))],
    ["workers", rowsOf(WORKERS)],
  ]);
}

/** Returns the page with other tables. */
export function withResults(page: string, tables: ResultTables): string {
  return [...tables].reduce((text, [name, rows]) => withTable(text, name, rows), page);
}

/** Returns the column of one Node, by global. */
export function readColumn(page: string, major: string): Map<string, string> {
  const column = 4 + COLUMNS.findIndex((each) => each === major);
  const rows = page
    .split("\n")
    .map((line) => line.split(" | ").map((cell) => cell.replace(/^\| | \|$/g, "")));
  return new Map(
    rows.flatMap((cells): [string, string][] => {
      const name = /^`([\w.]+)`$/.exec(cells[0] ?? "")?.[1];
      return name === undefined ? [] : [[name, cells[column - 1] ?? ""]];
    }),
  );
}

/** Returns the text about one global on one Node. */
export function toCell({ name, state, missing, problem }: Finding): string {
  if (state === "missing") return `no: ${REASONS[name] ?? "unknown reason"}`;
  const lacks = missing.map((member) => `\`${member}\``).join(", ");
  const faults = [
    ...(lacks === "" ? [] : [`without ${lacks}`]),
    ...(problem === null ? [] : [problem]),
  ];
  return [state === "native" ? "Node" : "added", ...faults].join(", ");
}

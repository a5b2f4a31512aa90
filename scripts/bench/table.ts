/** One line of a table: its cells, or a remark in place of all cells but the first. */
export type Row =
  | { readonly kind: "cells"; readonly cells: readonly string[] }
  | { readonly kind: "remark"; readonly title: string; readonly remark: string };

/**
 * Lays out a table as plain text: the first column to the left, all others to the right.
 *
 * A remark does not count for the widths, so a long reason does not pull the figures apart.
 */
export function formatTable(header: readonly string[], rows: readonly Row[]): string {
  const lines = [header, ...rows.map((row) => (row.kind === "cells" ? row.cells : [row.title]))];
  const widths = header.map((_, column) =>
    Math.max(...lines.map((cells) => cells[column]?.length ?? 0)),
  );
  const format = (cells: readonly string[]): string =>
    widths
      .map((width, column) => {
        const cell = cells[column] ?? "";
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("  ")
      .trimEnd();
  return [
    format(header),
    ...rows.map((row) =>
      row.kind === "cells"
        ? format(row.cells)
        : `${row.title.padEnd(widths[0] ?? 0)}  ${row.remark}`,
    ),
  ].join("\n");
}

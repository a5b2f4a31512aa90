import type { Style } from "./style.ts";
import { clipToWidth, widthOf } from "./text-width.ts";

/** One column of a table in a terminal. */
export interface Column<Row> {
  readonly head: string;
  readonly cell: (row: Row) => string;
  readonly style?: (row: Row) => Style | null;
  /** Aligned to the right. */
  readonly isNumber?: boolean;
  /** Takes the width that the other columns leave. One column of a table has it. */
  readonly isFlexible?: boolean;
  /** Most characters. */
  readonly most?: number;
}

/** Fewest characters of a column that takes the rest. */
const LEAST = 8;

const GAP = "  ";

/** Formats a table. No line is wider than the terminal. Long cells are cut. */
export function formatColumns<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  look: { columns: number; style: (text: string, name: Style | null) => string },
): string[] {
  const cells = rows.map((row) => columns.map(({ cell }) => toHarmless(cell(row))));
  const widths = columns.map(({ head, most = Infinity }, at) =>
    Math.min(most, Math.max(widthOf(head), ...cells.map((line) => widthOf(line[at] ?? "")))),
  );
  const flexible = columns.findIndex(({ isFlexible }) => isFlexible === true);
  const others = widths.reduce((sum, width, at) => (at === flexible ? sum : sum + width), 0);
  const gaps = GAP.length * (columns.length - 1);
  if (flexible !== -1) {
    const left = look.columns - others - gaps;
    widths[flexible] = Math.max(LEAST, Math.min(widths[flexible] ?? LEAST, left));
  }
  const fit = (text: string, at: number): string => {
    const width = widths[at] ?? 0;
    const cut = clip(text, width);
    const space = " ".repeat(Math.max(0, width - widthOf(cut)));
    return columns[at]?.isNumber === true ? space + cut : cut + space;
  };
  // A terminal that is too narrow loses the columns on the right.
  const shown = countFitting(widths, look.columns);
  const head = columns.slice(0, shown).map(({ head: text }, at) => fit(text, at));
  return [
    look.style(head.join(GAP).trimEnd(), "bold"),
    ...rows.map((row, index) =>
      columns
        .slice(0, shown)
        .map(({ style }, at) => look.style(fit(cells[index]?.[at] ?? "", at), style?.(row) ?? null))
        .join(GAP)
        .trimEnd(),
    ),
  ];
}

/** Cuts a text to so many cells of the terminal. A text that is cut ends with an ellipsis. */
export function clip(text: string, width: number): string {
  return clipToWidth(toHarmless(text), width);
}

/** Control characters of clients must not reach the terminal. The joiner of emoji and the marks of variants are none. */
function toHarmless(text: string): string {
  return text.replaceAll(/(?!\u200D)\p{C}/gu, "·");
}

function countFitting(widths: readonly number[], columns: number): number {
  let used = 0;
  for (const [at, width] of widths.entries()) {
    used += width + (at === 0 ? 0 : GAP.length);
    if (used > columns) return Math.max(1, at);
  }
  return widths.length;
}

import { readFile } from "node:fs/promises";
import { sep } from "node:path";
import { escapeHtml } from "./html-page.ts";

/** A line of a source file, for display. */
export interface SourceLine {
  number: number;
  text: string;
  /** True if the place is in this line. */
  isHere: boolean;
  /** Blanks up to the column of the place; `null`: the place is in another line, or its column is unknown. */
  indent: string | null;
}

const LINES_AROUND = 5;

/** Longest part of a line that is shown: a bundle may have a single line. */
const MOST_CHARACTERS = 500;

/**
 * Reads the lines around a place.
 *
 * @param place.file Absolute path.
 * @param cwd The project's folder.
 * @returns `null` for a file that cannot be read, or that is outside of the project. An error may name any file in its
 *   stack, so a file outside must not be shown.
 */
export async function readExcerpt(
  { file, line, column }: { file: string; line: number; column: number | null },
  cwd: string,
): Promise<SourceLine[] | null> {
  if (!file.startsWith(cwd + sep)) return null;
  const text = await readFile(file, "utf8").catch(() => null);
  if (text === null) return null;
  const first = Math.max(1, line - LINES_AROUND);
  return text
    .split("\n")
    .slice(first - 1, line + LINES_AROUND)
    .map((content, index) => ({
      number: first + index,
      text: content.slice(0, MOST_CHARACTERS),
      isHere: first + index === line,
      indent: first + index === line ? toIndent(content, column) : null,
    }));
}

/** Replaces all characters except tabs with blanks, so that a caret below the line stands under the column. */
function toIndent(text: string, column: number | null): string | null {
  if (column === null || column < 1 || column > Math.min(text.length + 1, MOST_CHARACTERS))
    return null;
  return text.slice(0, column - 1).replaceAll(/[^\t]/g, " ");
}

/** Formats the lines as text, with a caret below the column. */
export function formatExcerpt(lines: readonly SourceLine[]): string {
  return lines.flatMap((line) => [formatSourceLine(line), ...formatCaret(line)]).join("\n");
}

function formatCaret({ indent }: SourceLine): string[] {
  return indent === null ? [] : [`       | ${indent}^`];
}

/** Formats a line: `>   12 | const x = ;` */
export function formatSourceLine({ number, text, isHere }: SourceLine): string {
  return `${isHere ? ">" : " "} ${String(number).padStart(4)} | ${text}`;
}

/** Formats the lines as escaped HTML. Marks the line of the place, and puts a caret below the column. */
export function toHtmlExcerpt(lines: readonly SourceLine[]): string {
  const shown = lines.flatMap((line) => {
    const text = escapeHtml(formatSourceLine(line));
    const caret = formatCaret(line).map((below) =>
      below.replace("^", `<span class="caret">^</span>`),
    );
    return [line.isHere ? `<mark>${text}</mark>` : text, ...caret];
  });
  return `<pre>${shown.join("\n")}</pre>`;
}

import { readFile } from "node:fs/promises";
import { sep } from "node:path";
import { escapeHtml } from "./html-page.ts";

/** One line of a source, for a person. */
export interface SourceLine {
  number: number;
  text: string;
  /** The one that it is about. */
  isHere: boolean;
}

const LINES_AROUND = 5;

/** A line of a bundle may be all of it. */
const MOST_CHARACTERS = 500;

/**
 * Reads the lines around a place.
 *
 * @param place.file Absolute.
 * @param cwd The project's folder.
 * @returns `null` for a file that cannot be read, or is outside of the project: a stack is text, and text may claim
 *   anything.
 */
export async function readExcerpt(
  { file, line }: { file: string; line: number },
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
    }));
}

/** `>   12 | const x = ;` */
export function formatSourceLine({ number, text, isHere }: SourceLine): string {
  return `${isHere ? ">" : " "} ${String(number).padStart(4)} | ${text}`;
}

/** The lines as HTML, escaped; the one that it is about is marked. */
export function toHtmlExcerpt(lines: readonly SourceLine[]): string {
  const shown = lines.map((line) => {
    const text = escapeHtml(formatSourceLine(line));
    return line.isHere ? `<mark>${text}</mark>` : text;
  });
  return `<pre>${shown.join("\n")}</pre>`;
}

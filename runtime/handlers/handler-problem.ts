import { resolve } from "node:path";
import { RuntimeError } from "../lib/errors.ts";
import { escapeHtml } from "../lib/html-page.ts";
import { readExcerpt, toHtmlExcerpt } from "../lib/source-excerpt.ts";

/** Why handlers cannot be built or loaded, for their developer. */
export interface HandlerProblem {
  /** Text for the terminal; ends with a line feed. */
  text: string;
  /** Of a page; plain text. */
  title: string;
  /** Of a page; HTML. */
  content: string;
}

/** Whether an error is about the handlers, and not about settings or the machine. */
export function isHandlerProblem(error: unknown): error is RuntimeError {
  return (
    error instanceof RuntimeError &&
    (error.code === "ERR_HANDLER_LOAD" || error.code === "ERR_BOOT_LOOP")
  );
}

/**
 * Makes a page of the error's text: each `file:line:column: message` with the lines around it. Never rejects.
 *
 * @param cwd File names are relative to it. No lines of other files are shown.
 */
export async function describeHandlerProblem(
  { message }: RuntimeError,
  cwd: string,
): Promise<HandlerProblem> {
  const [title = "", ...lines] = message.split("\n");
  const shown = await Promise.all(lines.slice(0, MOST_LINES).map((line) => toHtml(line, cwd)));
  const more = lines.length - shown.length;
  const content = [
    `<h1 class="bad">${escapeHtml(title)}</h1>`,
    ...shown,
    ...(more > 0 ? [`<p>and ${more} more: see the terminal</p>`] : []),
  ];
  return { text: `${message}\n`, title, content: content.join("\n") };
}

/** Further lines would only fill the page. */
const MOST_LINES = 10;

const PLACE = /^(?<file>[^:]+):(?<line>\d+)(?<column>:\d+)?: (?<text>.+)$/;

async function toHtml(line: string, cwd: string): Promise<string> {
  const { file = "", line: number = "", column = "", text = "" } = PLACE.exec(line)?.groups ?? {};
  if (file === "") return `<p>${escapeHtml(line)}</p>`;
  const where = {
    file: resolve(cwd, file),
    line: Number(number),
    column: column === "" ? null : Number(column.slice(1)),
  };
  const excerpt = await readExcerpt(where, cwd);
  const place = `<h2>${escapeHtml(`${file}:${number}${column}`)}</h2>`;
  const source = excerpt === null ? "" : `\n${toHtmlExcerpt(excerpt)}`;
  return `${place}\n<p>${escapeHtml(text)}</p>${source}`;
}

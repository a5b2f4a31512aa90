import { resolve } from "node:path";
import { BuildError } from "../generation/build-error.ts";
import type { HandlerProblem } from "../lib/developer-page.ts";
import { RuntimeError } from "../lib/errors.ts";
import { escapeHtml } from "../lib/html-page.ts";
import { readExcerpt, toHtmlExcerpt } from "../lib/source-excerpt.ts";

/** Tells whether an error is about the handlers, not about settings or the machine. */
export function isHandlerProblem(error: unknown): error is RuntimeError {
  return (
    error instanceof RuntimeError &&
    (error.code === "ERR_HANDLER_LOAD" || error.code === "ERR_BOOT_LOOP")
  );
}

/**
 * Tells whether an error is a mistake of the developer, in handlers or settings. The server refuses every save until it
 * is corrected.
 */
export function refusesSaves(error: unknown): error is RuntimeError {
  return isHandlerProblem(error) || isSettingsProblem(error);
}

function isSettingsProblem(error: unknown): boolean {
  return (
    error instanceof RuntimeError &&
    (error.code === "ERR_CONFIG" || error.code === "ERR_CERTIFICATE")
  );
}

/**
 * Returns a page for an error: its text, with an excerpt of the source for each `file:line:column: message`. Never
 * rejects.
 *
 * @param cwd File names are relative to this folder. The page shows no lines of files outside of it.
 */
export async function describeHandlerProblem(
  refusal: RuntimeError,
  cwd: string,
): Promise<HandlerProblem> {
  const { message } = refusal;
  const isSettings = isSettingsProblem(refusal);
  const [first = "", ...rest] = message.split("\n");
  // A message about settings has no title line.
  const title = isSettings ? "Cannot use the settings" : first;
  const lines = isSettings ? [first, ...rest] : rest;
  const shown = await Promise.all(lines.slice(0, MOST_LINES).map((line) => toHtml(line, cwd)));
  const more = lines.length - shown.length;
  const content = [
    `<h1 class="bad">${escapeHtml(title)}</h1>`,
    ...shown,
    ...(more > 0 ? [`<p>and ${more} more: see the terminal</p>`] : []),
  ];
  const text = isSettings ? `${title}\n${message}\n` : `${message}\n`;
  return { text, title, content: content.join("\n"), stale: describeStale(refusal, isSettings) };
}

function describeStale(error: RuntimeError, isSettings: boolean): string {
  if (isSettings) return "settings are wrong";
  return error instanceof BuildError ? "handlers do not compile" : "handlers do not load";
}

/** Most lines of a message that the page shows. */
const MOST_LINES = 10;

/** A line that names a place. For a config file, `Cannot load` stands before it. */
const PLACE = /^(?:Cannot load )?(?<file>[^:]+):(?<line>\d+)(?<column>:\d+)?: (?<text>.+)$/;

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

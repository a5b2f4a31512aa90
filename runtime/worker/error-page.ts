import { readFile } from "node:fs/promises";
import { STATUS_CODES } from "node:http";
import { relative, sep } from "node:path";
import { inspect } from "node:util";
import { describeValue } from "./describe-value.ts";
import { locateError, type SourcePosition } from "./error-location.ts";

export interface ErrorPageFacts {
  request: Request;
  requestId: string;
  status: number;
}

/** Says that it failed, and the request id to ask the operator about; nothing of the inside. */
export function productionErrorPage({ request, requestId, status }: ErrorPageFacts): Response {
  const title = STATUS_CODES[status] ?? "Error";
  if (!acceptsHtml(request)) return textPage(status, `${title}\nRequest ${requestId}\n`);
  return htmlPage(
    status,
    title,
    `<h1>${escapeHtml(title)}</h1>\n<p>Request <code>${escapeHtml(requestId)}</code></p>`,
  );
}

/** Shows the error, its stack and causes, and the lines around the place where it was thrown. */
export async function developmentErrorPage(
  facts: ErrorPageFacts & { error: unknown; cwd: string },
): Promise<Response> {
  const { request, requestId, status, error, cwd } = facts;
  const title = error instanceof Error ? `${error.name}: ${error.message}` : describeValue(error);
  const details = inspect(error, { depth: 3, colors: false });
  const position = locateError(error);
  const excerpt = position === null ? null : await readExcerpt(position, cwd);
  const place = excerpt === null || position === null ? "" : toPlace(position, cwd);
  const exchange = `${request.method} ${request.url}, request ${requestId}`;
  if (!acceptsHtml(request)) {
    const lines = excerpt === null ? "" : `\n\n${place}\n${excerpt.map(toTextLine).join("\n")}`;
    return textPage(status, `${title}\n${exchange}${lines}\n\n${details}\n`);
  }
  const source =
    excerpt === null
      ? ""
      : `<h2>${escapeHtml(place)}</h2>\n<pre>${excerpt.map(toHtmlLine).join("\n")}</pre>\n`;
  return htmlPage(
    status,
    title,
    `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(exchange)}</p>\n${source}<pre>${escapeHtml(details)}</pre>`,
  );
}

interface SourceLine {
  number: number;
  text: string;
  isHere: boolean;
}

const LINES_AROUND = 5;

/** `null` for a file outside of the project: a stack is text, and text may claim anything. */
async function readExcerpt(position: SourcePosition, cwd: string): Promise<SourceLine[] | null> {
  if (!position.file.startsWith(cwd + sep)) return null;
  const text = await readFile(position.file, "utf8").catch(() => null);
  if (text === null) return null;
  const first = Math.max(1, position.line - LINES_AROUND);
  return text
    .split("\n")
    .slice(first - 1, position.line + LINES_AROUND)
    .map((line, index) => ({
      number: first + index,
      text: line,
      isHere: first + index === position.line,
    }));
}

function toPlace({ file, line, column }: SourcePosition, cwd: string): string {
  return [relative(cwd, file), line, column].filter((part) => part !== null).join(":");
}

function toTextLine({ number, text, isHere }: SourceLine): string {
  return `${isHere ? ">" : " "} ${String(number).padStart(4)} | ${text}`;
}

function toHtmlLine(line: SourceLine): string {
  const text = escapeHtml(toTextLine(line));
  return line.isHere ? `<mark>${text}</mark>` : text;
}

function acceptsHtml(request: Request): boolean {
  return request.headers.get("accept")?.includes("text/html") ?? false;
}

function textPage(status: number, text: string): Response {
  return new Response(text, { status, headers: toHeaders("text/plain; charset=utf-8") });
}

function htmlPage(status: number, title: string, content: string): Response {
  const html = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c1c1c; background: #fff }
h1 { font-size: 1.4rem } h2 { font-size: 1rem } p { color: #666 }
pre { overflow-x: auto; padding: 1rem; background: #f4f4f4; border-radius: 6px; font-size: .85rem }
mark { background: #ffd9d6; display: inline-block; min-width: 100% }
@media (prefers-color-scheme: dark) { body { color: #eee; background: #161616 } pre { background: #222 } p { color: #aaa } mark { background: #5a1f1b; color: #fff } }
</style>
${content}
</html>
`;
  return new Response(html, { status, headers: toHeaders("text/html; charset=utf-8") });
}

function toHeaders(contentType: string): Record<string, string> {
  return {
    "content-type": contentType,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    // The page repeats what requests and errors contain. Escaped, and this in case of a mistake there.
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
  };
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}

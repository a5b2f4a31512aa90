import { STATUS_CODES } from "node:http";
import { relative } from "node:path";
import { inspect } from "node:util";
import {
  developmentPageFields,
  escapeHtml,
  formatDevelopmentPage,
  formatHtmlPage,
  PAGE_FIELDS,
} from "../lib/html-page.ts";
import { formatExcerpt, readExcerpt, toHtmlExcerpt } from "../lib/source-excerpt.ts";
import { hideInnerFrames } from "../lib/stack-frames.ts";
import { describeValue } from "./describe-value.ts";
import { explainMissing } from "./missing-global.ts";
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
  const all = inspect(error, { depth: 3, colors: false });
  const { text: details, hidden } = hideInnerFrames(all);
  const hint = explainMissing(error);
  const position = locateError(error);
  const excerpt = position === null ? null : await readExcerpt(position, cwd);
  const place = excerpt === null || position === null ? "" : toPlace(position, cwd);
  const exchange = `${request.method} ${request.url}, request ${requestId}`;
  if (!acceptsHtml(request)) {
    const lines = excerpt === null ? "" : `\n\n${place}\n${formatExcerpt(excerpt)}`;
    const first = hint === null ? title : `${title}\n${hint}`;
    return textPage(status, `${first}\n${exchange}${lines}\n\n${details}\n`);
  }
  const source =
    excerpt === null ? "" : `<h2>${escapeHtml(place)}</h2>\n${toHtmlExcerpt(excerpt)}\n`;
  const more =
    hidden === 0
      ? ""
      : `<details><summary>With the ${hidden} frames of Node and Edgicorn</summary><pre>${escapeHtml(all)}</pre></details>`;
  const content =
    `<h1 class="bad">${escapeHtml(title)}</h1>\n` +
    (hint === null ? "" : `<p>${escapeHtml(hint)}</p>\n`) +
    `<p>${escapeHtml(exchange)}</p>\n` +
    `${source}<h2>Stack</h2>\n<pre>${escapeHtml(details)}</pre>\n${more}`;
  const html = formatDevelopmentPage(title, content, { isGet: request.method === "GET" });
  const headers = { "content-type": HTML, ...developmentPageFields() };
  return new Response(html, { status, headers });
}

const HTML = "text/html; charset=utf-8";

function toPlace({ file, line, column }: SourcePosition, cwd: string): string {
  return [relative(cwd, file), line, column].filter((part) => part !== null).join(":");
}

function acceptsHtml(request: Request): boolean {
  return request.headers.get("accept")?.includes("text/html") ?? false;
}

function textPage(status: number, text: string): Response {
  return new Response(text, { status, headers: toHeaders("text/plain; charset=utf-8") });
}

function htmlPage(status: number, title: string, content: string): Response {
  const html = formatHtmlPage(title, content);
  return new Response(html, { status, headers: toHeaders(HTML) });
}

function toHeaders(contentType: string): Record<string, string> {
  return { "content-type": contentType, ...PAGE_FIELDS };
}

import type { ClientSide } from "../dispatch/client-side.ts";
import type { HandlerProblem } from "../handler-problem.ts";
import { PAGE_FIELDS } from "../html-page.ts";
import { findField } from "./find-field.ts";

/** Whether somebody opens a page in a browser, rather than a program or a page asking for something. */
export function isNavigation({ method, fields }: ClientSide["head"]): boolean {
  const mode = findField(fields, "sec-fetch-mode");
  // Browsers say it over HTTPS and to this machine; to another one over HTTP only what they take.
  if (mode !== undefined) return mode === "navigate";
  return method === "GET" && (findField(fields, "accept")?.includes("text/html") ?? false);
}

/** Shows whoever works on the handlers why they do not serve. For development only. */
export function answerHandlerProblem(client: ClientSide, { html, text }: HandlerProblem): void {
  const isPage = isNavigation(client.head);
  const fields = { "content-type": isPage ? HTML : TEXT, ...PAGE_FIELDS };
  client.respond({
    status: 500,
    statusText: "",
    fields: Object.entries(fields).flat().join("\n"),
    body: isPage ? html : text,
  });
}

const HTML = "text/html; charset=utf-8";
const TEXT = "text/plain; charset=utf-8";

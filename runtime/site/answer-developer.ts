import { findField } from "../http/find-field.ts";
import type { Client } from "../http/client.ts";
import type { DeveloperPage } from "../lib/developer-page.ts";
import { developmentPageFields, formatDevelopmentPage } from "../lib/html-page.ts";

/**
 * Tells whether a browser requests this as a page for its user, and not as a resource for a program or another page.
 */
export function isNavigation({ method, fields }: Client["head"]): boolean {
  const mode = findField(fields, "sec-fetch-mode");
  // Browsers send this field over HTTPS and to localhost. Over HTTP to other machines they send only `accept`.
  if (mode !== undefined) return mode === "navigate";
  return method === "GET" && (findField(fields, "accept")?.includes("text/html") ?? false);
}

/** Answers a navigation with a page, and every other request with text. For development only. */
export function answerDeveloper(
  client: Client,
  { status, title, content, text }: DeveloperPage & { status: number },
): void {
  const isPage = isNavigation(client.head);
  const isGet = client.head.method === "GET";
  const fields = { "content-type": isPage ? HTML : TEXT, ...developmentPageFields() };
  client.reply({
    status,
    statusText: "",
    fields: Object.entries(fields).flat().join("\n"),
    body: isPage ? formatDevelopmentPage(title, content, { isGet }) : text,
    lengthBytes: null,
  });
}

const HTML = "text/html; charset=utf-8";
const TEXT = "text/plain; charset=utf-8";

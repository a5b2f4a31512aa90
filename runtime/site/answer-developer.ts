import { findField } from "../http/find-field.ts";
import type { Client } from "../http/client.ts";
import type { DeveloperPage } from "../lib/developer-page.ts";
import { developmentPageFields, formatDevelopmentPage } from "../lib/html-page.ts";

/** Tells whether a user opens a page in a browser. Otherwise a program, or a page, requests a resource. */
export function isNavigation({ method, fields }: Client["head"]): boolean {
  const mode = findField(fields, "sec-fetch-mode");
  // Browsers send this field over HTTPS and to this machine. To another machine over HTTP they send `accept` only.
  if (mode !== undefined) return mode === "navigate";
  return method === "GET" && (findField(fields, "accept")?.includes("text/html") ?? false);
}

/** Answers with a page for a navigation, or with text. For development only. */
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

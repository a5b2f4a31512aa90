import type { ListedName } from "../../files/listing.ts";
import {
  parseListingView,
  pickListed,
  toListingJson,
  toListingPage,
  toQuery,
} from "../../files/listing.ts";
import type { NamedPage, PublicFolder } from "../../files/public-folder.ts";
import { findField } from "../../http/find-field.ts";
import type { Client } from "../../http/client.ts";
import { toRefusal } from "../../http/reply.ts";
import type { ParsedTarget } from "../../http/target-path.ts";
import { PAGE_FIELDS } from "../../lib/html-page.ts";
import { addVary } from "../filters/add-vary.ts";
import { labelled, type Stage } from "../site.ts";
import type { RouteFinder } from "../route-finder.ts";

/** The parts of a site that these stages ask. */
interface Parts {
  files: PublicFolder;
  /** `null`: the site has no handlers. */
  routes: Pick<RouteFinder, "hasRoute"> | null;
}

/** Pages that the server chooses as answers. */
export interface Pages {
  hasFile(path: string): boolean;
  /** Answers a request for the target with a page. Returns false if there is no such file. */
  answerWith(client: Client, page: NamedPage, target: ParsedTarget): boolean;
}

/**
 * Creates a stage that refuses methods that a file does not have, for paths that no route has (RFC 9110 section
 * 15.5.6).
 */
export function refuseMethods({ files, routes }: Parts): Stage {
  return (client, target) => {
    const { path } = target;
    if (isRead(client) || path === null || !files.hasFile(path)) return "next";
    if (routes?.hasRoute(target) === true) return "next";
    const refusal = toRefusal(405);
    client.reply({ ...refusal, fields: `${refusal.fields}\nallow\nGET, HEAD` });
    return "done";
  };
}

/**
 * Creates a stage that answers pages of an application with its one page, for paths that neither a file nor a route
 * has. Comes before the fallbacks of handlers.
 *
 * A program that asks for a script, an image or data gets no page instead: only a request for HTML does, by a path
 * without an extension.
 *
 * @param page Decoded path of the page's file, such as `/index.html`.
 */
export function answerApplication(
  { files, routes }: Pick<Parts, "routes"> & { files: Pages },
  page: string,
): Stage {
  return (client, target) => {
    const { pathname } = target;
    if (!isRead(client) || !acceptsHtml(client) || hasExtension(pathname)) return "next";
    if (routes?.hasRoute(target) === true || !files.hasFile(page)) return "next";
    addVary(client, "accept");
    return files.answerWith(client, { path: page, use: "page" }, target) ? "done" : "next";
  };
}

/**
 * Creates a stage that lists the names of a folder without an index page, for paths that no route has. A client that
 * accepts JSON and no HTML gets JSON.
 */
export function answerListing({ files, routes }: Parts): Stage {
  return (client, target) => {
    const { path, search } = target;
    if (path === null || !isRead(client)) return "next";
    const names = files.list(path);
    if (names === null || routes?.hasRoute(target) === true) return "next";
    if (path.endsWith("/")) replyListing(client, { path, search, names });
    else redirect(client, `${path}/`, search);
    return "done";
  };
}

/** Creates a stage that answers with the `404.html` of the nearest folder. */
export function answerNotFoundPage({ files }: { files: Pages }): Stage {
  return (client, target) => {
    const { path, pathname } = target;
    if (!isRead(client) || !takesNotFoundPage(client, pathname)) return "next";
    for (const folder of foldersOf(path ?? "/")) {
      const page = { path: `${folder}404.html`, use: "not-found" } as const;
      if (files.answerWith(client, page, target)) return "done";
    }
    return "next";
  };
}

/** Answers 404, and forbids caches to keep the answer: a deployment may be about to add the file. */
export const refuseUnstored: Stage = labelled("spa: not found", (client) => {
  const refusal = toRefusal(404);
  client.reply({ ...refusal, fields: `${refusal.fields}\ncache-control\nno-store` });
  return "done";
});

function isRead({ head: { method } }: Client): boolean {
  return method === "GET" || method === "HEAD";
}

function acceptOf({ head: { fields } }: Client): string | undefined {
  return findField(fields, "accept");
}

function acceptsHtml(client: Client): boolean {
  return acceptOf(client)?.includes("text/html") === true;
}

/** Browsers ask for scripts and images with `*` only, and show no page instead of them. */
function takesNotFoundPage(client: Client, pathname: string): boolean {
  const accept = acceptOf(client);
  if (accept?.includes("text/html") === true) return true;
  return (accept === undefined || accept.includes("*/*")) && !hasExtension(pathname);
}

/** Tells whether the last name of a path has a dot: `/app.js`, and not `/v1.2/start`. */
export function hasExtension(pathname: string): boolean {
  return pathname.includes(".", pathname.lastIndexOf("/"));
}

/** Levels of folders in which a `404.html` is looked for. A long path must not cost many look-ups. */
const MOST_LEVELS = 16;

/** Yields the folders on the way to a path, the nearest first: `/a/b/`, `/a/`, `/`. */
export function* foldersOf(path: string): Generator<string, void> {
  const ends: number[] = [];
  let end = path.indexOf("/");
  while (end !== -1 && ends.length <= MOST_LEVELS) {
    ends.push(end);
    end = path.indexOf("/", end + 1);
  }
  for (const at of ends.toReversed()) yield path.slice(0, at + 1);
}

function replyListing(
  client: Client,
  { path, search, names }: { path: string; search: string; names: ListedName[] },
): void {
  const view = parseListingView(search);
  const { shown, next } = pickListed(names, view);
  const isJson = !acceptsHtml(client) && acceptOf(client)?.includes("application/json") === true;
  const fields: Record<string, string> = {
    ...PAGE_FIELDS,
    "content-type": isJson ? "application/json" : "text/html; charset=utf-8",
    "cache-control": "no-cache",
    vary: "accept",
  };
  if (next !== null) fields["link"] = `<${toQuery({ ...view, offset: next })}>; rel="next"`;
  client.reply({
    status: 200,
    statusText: "",
    fields: Object.entries(fields).flat().join("\n"),
    body: isJson ? toListingJson(shown) : toListingPage(path, { shown, view, next }),
    lengthBytes: null,
  });
}

function redirect(client: Client, path: string, search: string): void {
  const location = path.split("/").map(encodeURIComponent).join("/") + search;
  const fields = `location\n${location}`;
  client.reply({ status: 301, statusText: "", fields, body: null, lengthBytes: null });
}

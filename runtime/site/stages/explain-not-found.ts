import type { Client } from "../../http/client.ts";
import { escapeHtml } from "../../lib/html-page.ts";
import { editDistance, pickNearest } from "../../lib/nearest.ts";
import { answerDeveloper } from "../answer-developer.ts";
import type { Stage } from "../site.ts";

/** A route, as the developer knows it. */
export interface KnownRoute {
  /** Empty: any method. */
  methods: readonly string[];
  /** `/users/:id` */
  pattern: string;
  /** `users/[id].ts` */
  file: string;
}

/** All routes and files that the developer may have meant. */
export interface KnownPlaces {
  routes: readonly KnownRoute[];
  /** Paths of static files, decoded. */
  files: readonly string[];
  /** Folders as the developer wrote them in the settings: `handlers`, `public`; `null`: there is no such folder. */
  handlersDir: string;
  publicDir: string | null;
}

/** Most routes in the list. A longer page would not be read. */
const MOST_ROUTES = 200;

/** Most files among which the nearest path is searched for. */
const MOST_FILES = 2_000;

/**
 * Tells the developer that no route and no file has this path, and lists the routes. For development only. It answers
 * every request that it gets.
 */
export function explainNotFound(places: () => KnownPlaces): Stage {
  return (client, { pathname }) => {
    answerNotFound(client, pathname, places());
    return "done";
  };
}

function answerNotFound(client: Client, pathname: string, places: KnownPlaces): void {
  const { method } = client.head;
  const { routes, files, handlersDir, publicDir } = places;
  const path = decode(pathname);
  const nearest = pickNearest(path, [
    ...routes.map(({ pattern }) => pattern),
    ...(files.length > MOST_FILES ? [] : files),
  ]);
  const title = `No route for ${path}`;
  const sorted = routes
    .map((route) => ({ route, distance: editDistance(path, route.pattern) }))
    .toSorted((a, b) => a.distance - b.distance)
    .map(({ route }) => route);
  const shown = sorted.slice(0, MOST_ROUTES);
  const wanted = toFileName(path);
  const remedy =
    `No handler in ${handlersDir}/ ` +
    `${publicDir === null ? "" : `and no file in ${publicDir}/ `}has the path ${path}. ` +
    (wanted === null ? "" : `A handler for it would be ${handlersDir}/${wanted}.`);
  const meant = nearest === null ? "" : `Did you mean ${nearest}?`;
  const rows = shown.map(({ methods, pattern, file }) => {
    const link = /[:*]/.test(pattern)
      ? escapeHtml(pattern)
      : `<a href="${escapeHtml(encodeURI(pattern))}">${escapeHtml(pattern)}</a>`;
    return `<tr><td>${escapeHtml(methods.join(", ") || "any")}</td><td><code>${link}</code></td><td class="dim">${escapeHtml(`${handlersDir}/${file}`)}</td></tr>`;
  });
  const more = sorted.length - shown.length;
  const content = [
    `<h1>${escapeHtml(title)}</h1>`,
    `<p>${escapeHtml(`${method} ${path}`)}: 404. ${escapeHtml(remedy)}</p>`,
    ...(nearest === null ? [] : [`<h2>Did you mean ${toLink(nearest)}?</h2>`]),
    rows.length === 0
      ? `<p>There are no routes yet.</p>`
      : `<table><thead><tr><th>Method</th><th>Route</th><th>File</th></tr></thead><tbody>\n${rows.join("\n")}\n</tbody></table>`,
    ...(more > 0 ? [`<p>and ${more} more</p>`] : []),
  ].join("\n");
  const text = [`${title} (404)`, remedy, meant].filter((line) => line !== "").join("\n");
  answerDeveloper(client, { status: 404, title, content, text: `${text}\n` });
}

function toLink(path: string): string {
  if (/[:*]/.test(path)) return `<code>${escapeHtml(path)}</code>`;
  return `<a href="${escapeHtml(encodeURI(path))}">${escapeHtml(path)}</a>`;
}

/** Returns the name of a handler for a path; `null`: the path does not determine one. */
function toFileName(path: string): string | null {
  if (!/^\/[\w/-]*$/.test(path) || path.includes("//")) return null;
  const name = path.replace(/^\/|\/$/g, "");
  return name === "" ? "index.ts" : `${name}.ts`;
}

function decode(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    // Malformed encoding is shown as the client sent it.
    return pathname;
  }
}

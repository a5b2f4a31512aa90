import { findCookie } from "../http/find-cookie.ts";

/**
 * Identity of stored answers before `Vary` is considered (RFC 9111 section 2): one URL, with the parameters and cookies
 * that count. The methods GET and HEAD share a key. No other method is stored.
 */
export interface CacheKey {
  /** Origin and path, e.g. `https://example.com/a/b`. The name of another space than the default one stands before. */
  readonly page: string;
  /** The query with its `?`, reduced to the parameters that count; `""`: none. */
  readonly search: string;
  /** The cookies that count, as text; `""`: none. */
  readonly cookies: string;
  /** The rule that reduced the query. The same rule finds the entry when its URL is purged. */
  readonly rule: QueryRule;
}

/** The parameters of a query that belong to the key. */
export type QueryRule =
  | { readonly kind: "all" }
  /** Only these parameters, sorted by name. */
  | { readonly kind: "only"; readonly names: readonly string[] }
  /** All but these, in the order of the request. */
  | { readonly kind: "except"; readonly names: readonly string[] };

/** The parts of a request that its key is made of. */
export interface KeyedRequest {
  /** As in `RequestHead`: scheme and authority, with the port unless it is the scheme's own. */
  origin: string;
  /** As in `ParsedTarget`. */
  pathname: string;
  search: string;
  /** Field block. */
  fields: string;
}

/**
 * Returns the key of a request.
 *
 * The path is that of `ParsedTarget`, with no further decoding: two spellings that a responder could tell apart are two
 * keys. The same holds for parameters: the responder may see the reduced query only, not that of the client.
 *
 * @param space Name of the space of entries; `""`: the default space.
 */
export function toKey(
  { origin, pathname, search, fields }: KeyedRequest,
  { query, cookies }: { query: QueryRule; cookies: readonly string[] },
  space = "",
): CacheKey {
  return {
    page: toPage(origin + pathname, space),
    search: reduceQuery(search, query),
    cookies: cookies.length === 0 ? "" : toCookies(cookies, fields),
    rule: query,
  };
}

/** Returns the `page` of a key. A space is part of it, since no URL contains a line break. */
export function toPage(url: string, space: string): string {
  return space === "" ? url : `${space}\n${url}`;
}

/** Returns the space and the URL of a `page`. */
export function splitPage(page: string): { space: string; url: string } {
  const at = page.indexOf("\n");
  return { space: page.slice(0, Math.max(0, at)), url: page.slice(at + 1) };
}

/**
 * Reduces a query to the parameters that count. Parameters are compared by their decoded names. A part of the query that
 * programs read in several ways stays: one with `;`, which some take for a separator, and one with malformed encoding.
 */
export function reduceQuery(search: string, rule: QueryRule): string {
  if (rule.kind === "all" || search.length < 2) return rule.kind === "all" ? search : "";
  const { names } = rule;
  const isOnly = rule.kind === "only";
  const kept = search
    .slice(1)
    .split("&")
    .map((text) => ({ text, name: toName(text) }))
    .filter(({ text, name }) => text !== "" && (name === null || names.includes(name) === isOnly));
  if (isOnly) kept.sort((a, b) => compare(a.name ?? "", b.name ?? ""));
  return kept.length === 0 ? "" : `?${kept.map(({ text }) => text).join("&")}`;
}

function toName(parameter: string): string | null {
  if (parameter.includes(";")) return null;
  try {
    return decodeURIComponent((parameter.split("=", 1)[0] ?? "").replaceAll("+", " "));
  } catch {
    return null;
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function toCookies(names: readonly string[], fields: string): string {
  return names
    .map((name) => {
      const value = findCookie(fields, name);
      return value === undefined ? name : `${name}=${value}`;
    })
    .join("; ");
}

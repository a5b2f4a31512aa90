import { matchExpression, type PathMatch } from "./nginx-expressions.ts";
import type { Directive } from "./parse-nginx.ts";

/** A location as Nginx chooses it. */
export interface LocationMatch {
  /** `null`: all paths. */
  readonly paths: readonly PathMatch[] | null;
  /** Place in the order of choice. */
  readonly rank: Rank;
  /** Start of the path, as written; `null`: an expression. */
  readonly prefix: string | null;
  /** The location takes this path only. */
  readonly isExact: boolean;
}

/** Place in the order in which Nginx chooses locations: that of the outer location, then that of the inner one. */
export type Rank = readonly number[];

/** Ranks of choice: exact paths, prefixes before expressions, expressions in their order, longest prefixes. */
const EXACT = 0;
const FIRM_PREFIX = 10_000;
const EXPRESSION = 20_000;
const PREFIX = 40_000;

/** Orders locations by choice. An inner location comes before the one around it. */
export function compareRanks(a: Rank, b: Rank): number {
  for (let at = 0; at < Math.max(a.length, b.length); at++) {
    const difference = (a[at] ?? Infinity) - (b[at] ?? Infinity);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Returns the rank of a rule that comes before the rules of a location, such as a redirect in it. */
export function rankWithin(rank: Rank): Rank {
  return [...rank, EXACT];
}

/**
 * Returns the paths of a location.
 *
 * @param options.index Place among the locations of its block.
 * @param options.block Directives of the location.
 * @param options.outer The location around it; `null`: there is none.
 * @param options.known Paths of its expression that are known already; `null`: find them.
 * @returns `null`: no pattern says the same.
 */
export function matchLocation(
  args: readonly string[],
  {
    index,
    block,
    outer,
    known = null,
  }: {
    index: number;
    block: readonly Directive[];
    outer: LocationMatch | null;
    known?: readonly PathMatch[] | null;
  },
): LocationMatch | null {
  const [first = "", second] = args;
  const [modifier, uri] = second === undefined ? splitModifier(first) : [first, second];
  const around = outer?.rank ?? [];
  if (modifier === "~" || modifier === "~*") {
    const all = known ?? matchExpression(uri);
    const paths = all?.map((match) => within(match, outer)) ?? null;
    if (paths === null || paths.includes(null)) return null;
    const inside = paths.filter((match) => match !== null);
    return { paths: inside, rank: [...around, EXPRESSION + index], prefix: null, isExact: false };
  }
  if (!isPlainPath(uri)) return null;
  const base = { prefix: uri, isExact: false };
  if (modifier === "=") {
    return { ...base, paths: [toMatch(uri)], rank: [...around, EXACT], isExact: true };
  }
  if (uri === "/") return { ...base, paths: null, rank: [...around, PREFIX] };
  const rank = [...around, (modifier === "^~" ? FIRM_PREFIX : PREFIX) - uri.length];
  // No path is below /favicon.ico. Locations that guard, or pass requests on, hold for all paths that begin so.
  const isFile = FILE.test(uri) && block.every(({ name }) => OF_FILES.has(name));
  if (isFile) return { ...base, paths: [toMatch(uri)], rank, isExact: true };
  // `location /app` is also /apple.
  const path = uri.endsWith("/") ? `${uri}**` : `${uri}*/**`;
  return { ...base, paths: [toMatch(path)], rank };
}

const FILE = /\.(?:ico|txt|xml|png|svg|json|webmanifest|html?)$/;

/** Directives that only say where a file is and how it is sent. */
const OF_FILES: ReadonlySet<string> = new Set(
  "access_log log_not_found error_log expires etag add_header default_type charset root alias try_files".split(
    " ",
  ),
);

/** Limits a pattern to the paths of the location around it; `null`: no pattern says so. */
function within(match: PathMatch, outer: LocationMatch | null): PathMatch | null {
  const prefix = outer?.prefix ?? null;
  if (outer === null || outer.paths === null) return match;
  if (prefix === null || outer.isExact) return null;
  if (match.path.startsWith(prefix)) return match;
  if (!match.path.startsWith("/**/") || !prefix.endsWith("/")) return null;
  return { ...match, path: prefix.slice(0, -1) + match.path };
}

/** Tells whether all paths of a location are also paths of another one, which Nginx chooses later. */
export function isWithin(inner: LocationMatch, outer: LocationMatch): boolean {
  if (compareRanks(inner.rank, outer.rank) >= 0) return false;
  if (outer.paths === null) return true;
  const { prefix, isExact } = outer;
  if (prefix === null || isExact) return false;
  return (inner.paths ?? []).every(({ path }) => path.startsWith(prefix));
}

/** `location =/x` is written without a space, too. */
function splitModifier(text: string): [string, string] {
  const [, modifier = "", uri = ""] = /^(=|\^~|~\*|~)?(.*)$/s.exec(text) ?? [];
  return [modifier, uri];
}

function toMatch(path: string): PathMatch {
  return { path, groups: new Map(), isWider: false };
}

function isPlainPath(uri: string): boolean {
  return uri.startsWith("/") && !/[?#\\*:\s]|\/\/|\/\.{1,2}(?:\/|$)/.test(uri) && isDecodable(uri);
}

function isDecodable(uri: string): boolean {
  try {
    decodeURIComponent(uri);
    return true;
  } catch {
    return false;
  }
}

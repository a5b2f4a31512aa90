/** Directives of an answer that a shared cache follows (RFC 9111 section 5.2.2, RFC 5861, RFC 8246). */
export interface ResponseDirectives {
  isPublic: boolean;
  noStore: boolean;
  mustRevalidate: boolean;
  proxyRevalidate: boolean;
  mustUnderstand: boolean;
  isImmutable: boolean;
  /** `all`: the whole answer. Names of fields, in lower case: only these. */
  isPrivate: Scope;
  noCache: Scope;
  /** Seconds; `null`: absent. A value that is malformed, or given twice with a difference, counts as 0. */
  maxAge: number | null;
  sMaxAge: number | null;
  staleWhileRevalidate: number | null;
  staleIfError: number | null;
}

export type Scope = "none" | "all" | readonly string[];

/** Directives of a request (RFC 9111 section 5.2.1, RFC 5861 section 4). */
export interface RequestDirectives {
  noCache: boolean;
  noStore: boolean;
  onlyIfCached: boolean;
  /** Seconds; `null`: absent. A malformed value counts as 0. */
  maxAge: number | null;
  minFresh: number | null;
  staleIfError: number | null;
  /** Seconds by which an answer may be stale; `Infinity` without a value; `null`: absent. A malformed value counts as 0. */
  maxStale: number | null;
}

/**
 * Largest number of seconds: a cache that cannot represent a value uses 2^31 (RFC 9111 section 1.2.2).
 */
export const MOST_SECONDS = 2_147_483_648;

/**
 * Parses the `cache-control` field of an answer.
 *
 * Unknown directives are ignored (section 5.2.3). A value with an unfinished quote is broken: its restrictions count, its
 * lifetimes are 0, since the end of the quoted text is unknown.
 */
export function parseResponseDirectives(value: string | undefined): ResponseDirectives {
  const { members, isBroken } = splitDirectives(value ?? "");
  const directives = toResponseDirectives(members);
  if (isBroken) {
    directives.maxAge = 0;
    directives.sMaxAge = 0;
    directives.staleWhileRevalidate = 0;
    directives.staleIfError = 0;
    directives.isPublic = false;
  }
  return directives;
}

/** A directive: its name in lower case and its argument without quotes; `null`: no argument. */
export type Directive = readonly [name: string, argument: string | null];

/** Returns the meaning of directives whose syntax was parsed before. */
export function toResponseDirectives(members: readonly Directive[]): ResponseDirectives {
  const found: ResponseDirectives = {
    isPublic: false,
    noStore: false,
    mustRevalidate: false,
    proxyRevalidate: false,
    mustUnderstand: false,
    isImmutable: false,
    isPrivate: "none",
    noCache: "none",
    maxAge: null,
    sMaxAge: null,
    staleWhileRevalidate: null,
    staleIfError: null,
  };
  for (const [name, argument] of members) {
    const flag = FLAGS.get(name);
    const seconds = SECONDS.get(name);
    if (flag !== undefined) found[flag] = true;
    else if (seconds !== undefined) found[seconds] = merge(found[seconds], argument);
    else if (name === "private") found.isPrivate = widen(found.isPrivate, argument);
    else if (name === "no-cache") found.noCache = widen(found.noCache, argument);
  }
  return found;
}

/**
 * Parses the `cache-control` field of a request.
 *
 * @param pragma Value of `pragma`, which counts only without `cache-control` (RFC 9111 section 5.4).
 * @returns `null`: no directive asks for anything. This is the case for nearly all requests.
 */
export function parseRequestDirectives(
  value: string | undefined,
  pragma?: string,
): RequestDirectives | null {
  if (value === undefined) {
    const asks = pragma?.split(",").some((each) => each.trim().toLowerCase() === "no-cache");
    return asks === true ? { ...NOTHING_ASKED, noCache: true } : null;
  }
  const found: RequestDirectives = { ...NOTHING_ASKED };
  for (const [name, argument] of splitDirectives(value).members) {
    if (name === "no-cache") found.noCache = true;
    else if (name === "no-store") found.noStore = true;
    else if (name === "only-if-cached") found.onlyIfCached = true;
    else if (name === "max-age") found.maxAge = merge(found.maxAge, argument);
    else if (name === "min-fresh") found.minFresh = merge(found.minFresh, argument);
    else if (name === "stale-if-error") found.staleIfError = merge(found.staleIfError, argument);
    else if (name === "max-stale") {
      found.maxStale = argument === null ? Infinity : merge(found.maxStale, argument);
    }
  }
  return found;
}

const NOTHING_ASKED: Readonly<RequestDirectives> = Object.freeze({
  noCache: false,
  noStore: false,
  onlyIfCached: false,
  maxAge: null,
  minFresh: null,
  staleIfError: null,
  maxStale: null,
});

const FLAGS: ReadonlyMap<string, FlagName> = new Map([
  ["public", "isPublic"],
  ["no-store", "noStore"],
  ["must-revalidate", "mustRevalidate"],
  ["proxy-revalidate", "proxyRevalidate"],
  ["must-understand", "mustUnderstand"],
  ["immutable", "isImmutable"],
]);
const SECONDS: ReadonlyMap<string, SecondsName> = new Map([
  ["max-age", "maxAge"],
  ["s-maxage", "sMaxAge"],
  ["stale-while-revalidate", "staleWhileRevalidate"],
  ["stale-if-error", "staleIfError"],
]);

type FlagName =
  | "isPublic"
  | "noStore"
  | "mustRevalidate"
  | "proxyRevalidate"
  | "mustUnderstand"
  | "isImmutable";
type SecondsName = "maxAge" | "sMaxAge" | "staleWhileRevalidate" | "staleIfError";

/** Two values that differ, or a malformed one, make an answer stale (RFC 9111 section 4.2.1). */
function merge(before: number | null, argument: string | null): number {
  const seconds = toSeconds(argument);
  return before === null || before === seconds ? seconds : 0;
}

function toSeconds(argument: string | null): number {
  return argument !== null && /^\d+$/.test(argument) ? Math.min(Number(argument), MOST_SECONDS) : 0;
}

/** The form without names covers the whole answer, and so does one with a malformed list of names. */
function widen(before: Scope, argument: string | null): Scope {
  const names = argument?.split(",").map((name) => name.trim().toLowerCase()) ?? [];
  if (before === "all" || names.length === 0 || !names.every((name) => TOKEN.test(name))) {
    return "all";
  }
  return before === "none" ? names : [...before, ...names];
}

const TOKEN_CHARACTERS = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]";
const TOKEN = new RegExp(`^${TOKEN_CHARACTERS}+$`);

/** A member of the list: a token, with a token or a quoted text as its argument (RFC 9111 section 5.2). */
const MEMBER = new RegExp(
  `[ \\t]*(?:(${TOKEN_CHARACTERS}+)(?:=(?:"((?:[^"\\\\]|\\\\.)*)"|(${TOKEN_CHARACTERS}*)))?[ \\t]*(?=,|$)|` +
    // Anything else up to the next comma outside of quotes, also nothing.
    `([^",]*(?:"(?:[^"\\\\]|\\\\.)*"[^",]*)*)(?=,|$))`,
  "y",
);

/** Splits a list of directives at its commas, except at those in quotes. */
function splitDirectives(value: string): { members: Directive[]; isBroken: boolean } {
  const members: Directive[] = [];
  for (let at = 0; at < value.length;) {
    MEMBER.lastIndex = at;
    const match = MEMBER.exec(value);
    if (match === null) {
      // Without the unfinished quote, the rest is read for its restrictions.
      const rest = splitDirectives(value.slice(at).replaceAll('"', ""));
      return { members: [...members, ...rest.members], isBroken: true };
    }
    const [whole, name, quoted, token, malformed] = match;
    if (name === undefined) members.push(...findRestrictions(malformed ?? ""));
    else {
      const argument = quoted?.replaceAll(/\\(.)/g, "$1") ?? token ?? null;
      members.push([name.toLowerCase(), argument]);
    }
    at += whole.length + 1;
  }
  return { members, isBroken: false };
}

/** Finds directives in a malformed member, such as `no-store; max-age =5`. Permissions do not count, lifetimes are 0. */
function findRestrictions(malformed: string): Directive[] {
  return malformed
    .toLowerCase()
    .split(/[ \t;]+/)
    .map((word): Directive => [word.replace(/=.*/, ""), ""])
    .filter(([name]) => name !== "public" && name !== "immutable" && name !== "must-understand");
}

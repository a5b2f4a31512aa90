declare const brand: unique symbol;

/**
 * A decoded path that may be joined to a root folder: starts with `/`, names each file as the file system does, and
 * holds no dot segment, no empty segment but the last, no backslash and no NUL. Only `toSafePath` makes one.
 */
export type SafePath = string & { readonly [brand]: "SafePath" };

/** Where a request wants to go. `origin + pathname + search` is the request's URL as `new URL` would write it. */
export interface ParsedTarget {
  ok: true;
  /** Normalised and still percent-encoded, like `new URL(...).pathname`. */
  pathname: string;
  /** The query with its `?`, or nothing. Unlike `URL.search` it keeps a bare `?`, which the URL's `href` keeps too. */
  search: string;
  /** The path to look up in the file system; `null` when no file can have it. */
  path: SafePath | null;
  /** Parameters in the path of the route that was found for it; `null`: none. */
  params: Record<string, string> | null;
}

/** A target that no URL can be made of: answered with 400. */
export interface TargetRefusal {
  ok: false;
  reason: string;
}

/**
 * Normalises a request target of origin form (RFC 9112 section 3.2.1) as the URL standard does.
 *
 * The server and the handler must not disagree about a path, so there is one meaning, that of `new URL`. Dot segments
 * are resolved (`%2e` is a dot), `\` in the path is a `/`, a fragment is dropped, and unsafe characters are encoded.
 * Malformed percent-encoding stays as it is. A target that starts with `//` is a path, never an authority.
 *
 * @param target From the request line, decoded from UTF-8, otherwise unchanged.
 * @returns A refusal for a target that does not start with `/`, and for one with spaces, control characters or
 *   characters beyond ASCII. The URL standard would strip or encode them, and a program behind the server would then
 *   see another target.
 */
export function parseTarget(target: string): ParsedTarget | TargetRefusal {
  if (ODD.test(target) || target.charCodeAt(0) !== SLASH) return parseOddTarget(target);
  const query = target.indexOf("?");
  const pathname = query === -1 ? target : target.slice(0, query);
  const search = query === -1 ? "" : target.slice(query);
  // No `%` means that decoding changes nothing, and ODD has excluded all else that a SafePath may not hold.
  const path = pathname.includes("%") ? toSafePath(pathname) : (pathname as SafePath);
  return { ok: true, pathname, search, path, params: null };
}

/**
 * Decodes a pathname for the file system.
 *
 * @param pathname As in `ParsedTarget`; one that was not normalised is safe too, it only finds less.
 * Several slashes count as one, as for the file system and for Nginx (`merge_slashes`).
 *
 * @returns `null` when no file can be meant: malformed encoding, an encoded `/` or `\`, NUL, a segment that reads `.`
 *   or `..` when decoded.
 */
export function toSafePath(pathname: string): SafePath | null {
  const decoded = ENCODED_SLASH.test(pathname) ? null : decode(pathname);
  if (decoded === null || decoded.charCodeAt(0) !== SLASH || UNSAFE.test(decoded)) return null;
  // Each condition of the type has just been checked, or is made true here.
  return (decoded.includes("//") ? decoded.replaceAll(/\/{2,}/g, "/") : decoded) as SafePath;
}

const SLASH = 0x2f;

/**
 * Finds targets that need `new URL`: with a character that it encodes in a path or query or that a target must not
 * contain, or with a possible dot segment or empty segment. Hits on harmless text only cost time.
 */
const ODD = /[^!$&()*+,\-./0-9:;=?@A-Z[\]_a-z|~%]|\/[./]|%2[eE]/;

/** All but the visible characters of ASCII: the rest has to be percent-encoded (RFC 3986 section 2.1). */
const FORBIDDEN = /[^!-~]/;

const ENCODED_SLASH = /%2f/i;

// oxlint-disable-next-line no-control-regex -- NUL ends a path for the operating system
const UNSAFE = /[\\\0]|\/\.{1,2}(?:\/|$)/;

function parseOddTarget(target: string): ParsedTarget | TargetRefusal {
  if (target.charCodeAt(0) !== SLASH) return { ok: false, reason: "not a path" };
  if (FORBIDDEN.test(target)) return { ok: false, reason: "space, control character or not ASCII" };
  const fragment = target.indexOf("#");
  const withoutFragment = fragment === -1 ? target : target.slice(0, fragment);
  // Appended to an origin, `//x` is a path; resolved against one, it would be a host.
  const { pathname, search } = new URL(`http://h${withoutFragment}`);
  const bareQuery = search === "" && withoutFragment.includes("?");
  return {
    ok: true,
    pathname,
    search: bareQuery ? "?" : search,
    path: toSafePath(pathname),
    params: null,
  };
}

function decode(pathname: string): string | null {
  if (!pathname.includes("%")) return pathname;
  try {
    return decodeURIComponent(pathname);
  } catch {
    // Malformed encoding names no file; the pathname itself stays available to handlers.
    return null;
  }
}

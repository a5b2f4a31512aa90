import type { RouteSettings } from "../config/handler-settings.ts";

declare const brand: unique symbol;

/**
 * A decoded path that may be joined to a root folder. It starts with `/` and uses the names of the file system. It has
 * no dot segment, no empty segment but the last, no backslash and no NUL. Only `toSafePath` makes such a path.
 */
export type SafePath = string & { readonly [brand]: "SafePath" };

/** A normalised request target. `origin + pathname + search` is the request's URL as `new URL` would write it. */
export interface ParsedTarget {
  ok: true;
  /** Normalised and still percent-encoded, like `new URL(...).pathname`. */
  pathname: string;
  /** The query with its `?`, or `""`. Unlike `URL.search` it keeps a bare `?`, like the `href` of a URL. */
  search: string;
  /** The path to look up in the file system; `null`: no file can have this path. */
  path: SafePath | null;
  /** Path parameters of the route that was found; `null`: there are none. */
  params: Record<string, string> | null;
  /** Settings that replace those of the route; absent for nearly all requests. */
  settings?: Partial<RouteSettings>;
  /** The path of the client, if a rule of `_redirects` has changed it. */
  rewrittenFrom?: string;
  /** The handler alone may answer, also if it fails: nothing stands in for it. Absent for requests of visitors. */
  standsAlone?: boolean;
}

/** A target that is not a valid URL. It is answered with 400. */
export interface TargetRefusal {
  ok: false;
  reason: string;
}

/**
 * Normalises a request target of origin form (RFC 9112 section 3.2.1) like the URL standard.
 *
 * The server and the handler must agree on the meaning of a path, so both use that of `new URL`. Dot segments are
 * resolved (`%2e` is a dot), `\` in the path becomes `/`, a fragment is dropped, and unsafe characters are encoded.
 * Malformed percent-encoding stays unchanged. A target that starts with `//` is a path, never an authority.
 *
 * @param target From the request line, decoded from UTF-8, otherwise unchanged.
 * @returns A refusal for a target that does not start with `/`, and for one with spaces, control characters or
 *   characters outside of ASCII. The URL standard would strip or encode them, and a program behind the server would
 *   then see another target.
 */
export function parseTarget(target: string): ParsedTarget | TargetRefusal {
  if (ODD.test(target) || target.charCodeAt(0) !== SLASH) return parseOddTarget(target);
  const query = target.indexOf("?");
  const pathname = query === -1 ? target : target.slice(0, query);
  const search = query === -1 ? "" : target.slice(query);
  // Without `%`, decoding changes nothing, and ODD has excluded everything else that a SafePath may not hold.
  const path = pathname.includes("%") ? toSafePath(pathname) : (pathname as SafePath);
  return { ok: true, pathname, search, path, params: null };
}

/**
 * Decodes a pathname for the file system. Merges repeated slashes, like the file system and Nginx (`merge_slashes`).
 *
 * @param pathname As in `ParsedTarget`. A pathname that was not normalised is safe, too, but may find no file.
 * @returns `null` when no file can have this path: malformed encoding, an encoded `/` or `\`, NUL, or a segment that is
 *   `.` or `..` when decoded.
 */
export function toSafePath(pathname: string): SafePath | null {
  const decoded = ENCODED_SLASH.test(pathname) ? null : decode(pathname);
  if (decoded === null || decoded.charCodeAt(0) !== SLASH || UNSAFE.test(decoded)) return null;
  // The code above checks each condition of the type, or this line makes it true.
  return (decoded.includes("//") ? decoded.replaceAll(/\/{2,}/g, "/") : decoded) as SafePath;
}

const SLASH = 0x2f;

/**
 * Finds targets that need `new URL`. They contain a character that it encodes or that is not allowed, or possibly a dot
 * segment or an empty segment. A false match only costs time.
 */
const ODD = /[^!$&()*+,\-./0-9:;=?@A-Z[\]_a-z|~%]|\/[./]|%2[eE]/;

/** Every character except the visible ones of ASCII. All others must be percent-encoded (RFC 3986 section 2.1). */
const FORBIDDEN = /[^!-~]/;

const ENCODED_SLASH = /%2f/i;

// oxlint-disable-next-line no-control-regex -- NUL ends a path for the operating system
const UNSAFE = /[\\\0]|\/\.{1,2}(?:\/|$)/;

function parseOddTarget(target: string): ParsedTarget | TargetRefusal {
  if (target.charCodeAt(0) !== SLASH) return { ok: false, reason: "not a path" };
  if (FORBIDDEN.test(target)) return { ok: false, reason: "space, control character or not ASCII" };
  const fragment = target.indexOf("#");
  const withoutFragment = fragment === -1 ? target : target.slice(0, fragment);
  // The target is appended to an origin, which makes `//x` a path. Resolved against an origin, it would be a host.
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
    // No file has a malformed path. Handlers still get the pathname.
    return null;
  }
}

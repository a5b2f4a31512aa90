import { toPathKey } from "../lib/path-key.ts";

/** The change of a path on its way to an upstream. */
export interface PathChange {
  /** Start of the path that the upstream does not see, without a slash at its end; `""`: none. */
  readonly strip: string;
  /** Path that is put in front, without a slash at its end; `""`: none. */
  readonly add: string;
}

/**
 * Returns the request target for an upstream.
 *
 * Without a change it is the target of the client in its normalised form: dot segments are resolved, `%2F`, `//` and all
 * other encodings stay as they are (`http/target-path.ts`). A prefix is compared segment by segment, in any encoding. A path
 * outside of the prefix stays whole.
 */
export function toUpstreamTarget(
  { pathname, search }: { pathname: string; search: string },
  { strip, add }: PathChange,
): string {
  if (strip === "" && add === "") return pathname + search;
  const rest = strip === "" ? pathname : withoutPrefix(pathname, strip);
  return add + rest + search;
}

/** Returns the path below a prefix. It begins with a slash. */
function withoutPrefix(pathname: string, prefix: string): string {
  const end = endOfPrefix(pathname, prefix);
  if (end === null) return pathname;
  return end === pathname.length ? "/" : pathname.slice(end);
}

/** Returns the length of the prefix in the spelling of the path; `null`: the path is outside of the prefix. */
function endOfPrefix(pathname: string, prefix: string): number | null {
  const levels = prefix.split("/").length - 1;
  let end = 0;
  for (let level = 0; level < levels; level++) {
    const next = pathname.indexOf("/", end + 1);
    if (next === -1 && level < levels - 1) return null;
    end = next === -1 ? pathname.length : next;
  }
  const start = pathname.slice(0, end);
  return start === prefix || toPathKey(start) === toPathKey(prefix) ? end : null;
}

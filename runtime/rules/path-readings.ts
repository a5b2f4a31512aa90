import { toPathKey } from "../lib/path-key.ts";

/** Paths that programs read in more than one way: with an empty segment, an encoded slash or an encoded backslash. */
const DOUBTFUL = /\/\/|%2f|%5c/i;

/** The encoded characters that a program may take for a slash. */
const SEPARATORS = [/%2f/gi, /%5c/gi, /%2f|%5c/gi];

/** Returns the path in the spelling in which rules compare it, without a slash at its end. */
export function toRuleKey(pathname: string): string {
  const key = toPathKey(pathname);
  const plain = key.includes("%") ? key.replace(ENCODED_PLAIN, decodeCharacter) : key;
  return plain.length > 1 && plain.endsWith("/") ? plain.slice(0, -1) : plain;
}

/**
 * Letters, digits and dots that are encoded. A key has them only in segments with malformed encoding, such as
 * `%61dmin%zz`. Some programs decode the rest of such a segment.
 */
const ENCODED_PLAIN = /%(?:2[DE]|3\d|[46][1-9A-F]|5[\dAF]|7[\dAE])/gi;

function decodeCharacter(encoded: string): string {
  return decodeURIComponent(encoded);
}

/**
 * Returns the other keys that a program behind the server may take a path for; `null`: there are none.
 *
 * Some programs decode `%2F` before they split a path, and Python servers must. Some resolve dot segments after that,
 * as in `/a/..%2Fb`. Some take a backslash for a slash. File systems and many frameworks merge slashes.
 */
export function findOtherReadings(pathname: string): string[] | null {
  if (!DOUBTFUL.test(pathname)) return null;
  const readings = new Set([toRuleKey(merge(pathname))]);
  for (const separators of SEPARATORS) {
    const split = pathname.replace(separators, "/");
    const merged = merge(split);
    const resolved = resolveDots(split);
    for (const reading of [split, merged, resolved, resolveDots(merged), merge(resolved)]) {
      readings.add(toRuleKey(reading));
    }
  }
  return [...readings];
}

function merge(pathname: string): string {
  return pathname.replace(/\/{2,}/g, "/");
}

/** Resolves dot segments, encoded ones too, as the URL standard does. */
function resolveDots(pathname: string): string {
  const kept: string[] = [];
  const segments = pathname.slice(1).split("/");
  segments.forEach((segment, at) => {
    const plain = segment.replace(/%2e/gi, ".");
    if (plain === "..") kept.pop();
    if (plain !== ".." && plain !== ".") kept.push(segment);
    else if (at === segments.length - 1) kept.push("");
  });
  return `/${kept.join("/")}`;
}

import { assertNever } from "../lib/errors.ts";
import { parsePattern, type Segment } from "./pattern.ts";

export interface GuardMatch {
  /** Index into the fallbacks of the manifest. */
  fallback: number;
  /** Decoded values of the folder's parameters by name; `null`: it has none. */
  params: Record<string, string> | null;
}

/** `path` is decoded, has merged slashes, and begins with one: the path by which a file is found. */
export type GuardMatcher = (path: string) => GuardMatch | null;

/**
 * Builds the matcher of the middleware that guards files; `null`: there is none. The deepest folder wins.
 *
 * It reads the same decoded path as the look-up of files. No spelling of a path can therefore find a file and pass its guard.
 */
export function createGuardMatcher(
  fallbacks: readonly { pattern: string; files?: true }[],
): GuardMatcher | null {
  const guards = fallbacks
    .flatMap(({ pattern, files }, fallback) => {
      // The rest of the pattern takes all that lies below.
      return files === true ? [{ segments: parsePattern(pattern).slice(0, -1), fallback }] : [];
    })
    .toSorted((a, b) => compare(a.segments, b.segments));
  if (guards.length === 0) return null;
  return (path) => {
    const parts = path.slice(1).split("/");
    for (const { segments, fallback } of guards) {
      const params = match(segments, parts);
      if (params !== null) {
        return { fallback, params: Object.keys(params).length === 0 ? null : params };
      }
    }
    return null;
  };
}

/** Deeper folders first; of equally deep ones, fixed texts before parameters, from the root down. */
function compare(a: readonly Segment[], b: readonly Segment[]): number {
  if (a.length !== b.length) return b.length - a.length;
  const at = a.findIndex((segment, index) => rankOf(segment) !== rankOf(b[index]));
  return at === -1 ? 0 : rankOf(a[at]) - rankOf(b[at]);
}

function rankOf(segment: Segment | undefined): number {
  if (segment?.kind === "static") return 0;
  return segment?.kind === "param" && segment.prefix + segment.suffix !== "" ? 1 : 2;
}

function match(
  segments: readonly Segment[],
  parts: readonly string[],
): Record<string, string> | null {
  const params: Record<string, string> = {};
  for (const [index, segment] of segments.entries()) {
    const part = parts[index];
    if (part === undefined || !takes(segment, part, params)) return null;
  }
  return params;
}

function takes(segment: Segment, part: string, params: Record<string, string>): boolean {
  // Names of handlers are in composed form. A file may have its name in another one.
  const text = part.normalize("NFC");
  switch (segment.kind) {
    case "static":
      return text === segment.text;
    case "param": {
      const { prefix, suffix, name } = segment;
      const isLong = text.length > prefix.length + suffix.length;
      if (!isLong || !text.startsWith(prefix) || !text.endsWith(suffix)) return false;
      params[name] = text.slice(prefix.length, text.length - suffix.length);
      return true;
    }
    case "rest":
      return true;
    default:
      return assertNever(segment);
  }
}

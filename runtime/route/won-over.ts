import { assertNever } from "../lib/errors.ts";
import { encodePathText } from "../lib/path-key.ts";
import { createMatcher } from "./match.ts";
import { parsePattern, type Segment } from "./pattern.ts";

/** Most routes for which this is computed. */
const MOST_ROUTES = 2_000;

/** Most routes over which one wins that are named. */
const MOST_NAMED = 5;

/**
 * Finds, for each route, the other routes that match a path of it and do not get the path. Asks the matcher that serves:
 * without the winner, the next route gets the path.
 *
 * @returns Patterns by pattern, the nearest first. Empty for too many routes.
 */
export function findWonOver(
  routes: readonly { readonly pattern: string }[],
): ReadonlyMap<string, readonly string[]> {
  if (routes.length > MOST_ROUTES) return new Map();
  // A route without parameters matches its own path only.
  const dynamic = routes.filter(({ pattern }) => isDynamic(pattern));
  return new Map(
    routes.map(({ pattern }) => {
      const path = toSamplePath(pattern);
      const losers: string[] = [];
      let left = dynamic.filter((other) => other.pattern !== pattern);
      while (losers.length < MOST_NAMED && left.length > 0) {
        const match = createMatcher({ routes: left, fallbacks: [] })(path);
        const next = match !== null && "route" in match ? left[match.route] : undefined;
        if (next === undefined) break;
        // A route that wins over this one is not won over.
        if (getsPath([{ pattern }, next], path)) losers.push(next.pattern);
        left = left.filter((other) => other !== next);
      }
      return [pattern, losers];
    }),
  );
}

/** Tells whether the first of two routes gets a path. */
function getsPath(pair: readonly { pattern: string }[], path: string): boolean {
  const match = createMatcher({ routes: pair, fallbacks: [] })(path);
  return match !== null && "route" in match && match.route === 0;
}

function isDynamic(pattern: string): boolean {
  return parsePattern(pattern).some(({ kind }) => kind !== "static");
}

/** Returns a path that a pattern matches, with unusual values for its parameters. */
function toSamplePath(pattern: string): string {
  return `/${parsePattern(pattern).map(toSampleSegment).join("/")}`;
}

function toSampleSegment(segment: Segment): string {
  switch (segment.kind) {
    case "static":
      return encodePathText(segment.text);
    case "param":
      return `${encodePathText(segment.prefix)}~1${encodePathText(segment.suffix)}`;
    case "rest":
      return "~1/~2";
    default:
      return assertNever(segment);
  }
}

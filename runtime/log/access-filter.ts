import { toPathKey } from "../lib/path-key.ts";
import { matchesPattern, parsePathPattern, type PathPattern } from "../lib/path-pattern.ts";
import { parseTarget } from "../http/target-path.ts";

/** Tells whether a finished request gets an access line. */
export type AccessFilter = (target: string, status: number) => boolean;

/** The settings that select requests. */
export interface AccessFilterSettings {
  /** Statuses (`404`) and classes (`5xx`); `null`: all. */
  accessLogStatus: readonly string[] | null;
  /** Patterns of paths without lines; `null`: none. */
  accessLogSkip: readonly string[] | null;
  /** Share of the answers below 400 that get a line. */
  accessLogSample: number;
}

/** Paths that programs read in more than one way always get a line. */
const DOUBTFUL = /\/\/|%2f|%5c/i;

/**
 * Creates the filter that the settings ask for; `null`: all requests get a line.
 *
 * @param random Returns a number from 0 to 1, without 1.
 */
export function createAccessFilter(
  settings: AccessFilterSettings,
  random: () => number = Math.random,
): AccessFilter | null {
  const { accessLogStatus, accessLogSkip, accessLogSample: share } = settings;
  if (accessLogStatus === null && accessLogSkip === null && share === 1) return null;
  const statuses = accessLogStatus === null ? null : new Set(accessLogStatus);
  const patterns = (accessLogSkip ?? []).map(toPattern);
  return (target, status) => {
    if (statuses !== null && !statuses.has(String(status))) {
      if (!statuses.has(`${Math.floor(status / 100)}xx`)) return false;
    }
    if (patterns.length > 0 && isSkipped(target, patterns)) return false;
    return status >= 400 || share === 1 || random() < share;
  };
}

/** Compares the path that the server resolved: a client cannot hide a request with `/healthz/../admin`. */
function isSkipped(target: string, patterns: readonly PathPattern[]): boolean {
  const parsed = parseTarget(target);
  if (!parsed.ok || DOUBTFUL.test(parsed.pathname)) return false;
  const key = toPathKey(parsed.pathname);
  const plain = key.length > 1 && key.endsWith("/") ? key.slice(0, -1) : key;
  return patterns.some((pattern) => matchesPattern(pattern, plain));
}

function toPattern(text: string): PathPattern {
  const pattern = parsePathPattern(text);
  if ("expected" in pattern) throw new TypeError(`no pattern: ${text}`);
  return pattern;
}

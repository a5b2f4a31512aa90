import type { FieldOf } from "../http/conditional.ts";
import { parseHttpDate } from "../http/http-date.ts";
import { MOST_SECONDS } from "./directives.ts";
import type { CachePolicy } from "./policy.ts";
import type { FetchTimes } from "./storage.ts";
import type { StoredHead } from "./stored-head.ts";
import type { FoundDirectives } from "./targeted-control.ts";

/** A freshness lifetime, and its origin; `none`: nothing states one, and the answer is not to be stored. */
export interface Lifetime {
  ms: number;
  from: "s-maxage" | "max-age" | "expires" | "config" | "heuristic" | "directive" | "none";
}

/** Longest estimated lifetime. */
export const MOST_HEURISTIC_MS = 24 * 60 * 60 * 1000;

/**
 * Returns the freshness lifetime of an answer (RFC 9111 section 4.2.1): the first of `s-maxage`, `max-age` and `expires`.
 * The policy only fills in for answers that state none. Without both, a tenth of the time since the last modification
 * (section 4.2.2), for statuses that allow it.
 */
export function toLifetime(
  { status, field, found }: { status: number; field: FieldOf; found: FoundDirectives },
  { policy, receivedMs }: { policy: CachePolicy; receivedMs: number },
): Lifetime {
  const { directives, isTargeted } = found;
  if (directives.sMaxAge !== null) return { ms: directives.sMaxAge * 1000, from: "s-maxage" };
  if (directives.maxAge !== null) return { ms: directives.maxAge * 1000, from: "max-age" };
  const dateMs = parseHttpDate(field("date") ?? "", receivedMs) ?? receivedMs;
  const expires = isTargeted ? undefined : field("expires");
  if (expires !== undefined) {
    // A value that is no date, such as `0`, is in the past (section 5.3).
    const expiresMs = parseHttpDate(expires, receivedMs);
    return { ms: expiresMs === null ? 0 : toLength(expiresMs - dateMs), from: "expires" };
  }
  // `no-cache` asks for a validation each time, `must-revalidate` for one when stale. Both allow to store.
  const isExplicit = directives.isPublic || directives.noCache === "all";
  const ttlMs = policy.ttlMsByStatus.get(status);
  if (ttlMs !== undefined && directives.noCache !== "all") return { ms: ttlMs, from: "config" };
  if (policy.isHeuristic && (HEURISTIC.has(status) || directives.isPublic)) {
    const modifiedMs = parseHttpDate(field("last-modified") ?? "", receivedMs);
    const ms = modifiedMs === null ? 0 : Math.min((dateMs - modifiedMs) / 10, MOST_HEURISTIC_MS);
    if (ms > 0) return { ms: toLength(ms), from: "heuristic" };
  }
  return { ms: 0, from: isExplicit ? "directive" : "none" };
}

/** Statuses for which a lifetime may be estimated (RFC 9110 section 15.1), but for 206, which is never stored. */
const HEURISTIC: ReadonlySet<number> = new Set([
  200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501,
]);

/**
 * Returns the age of an answer when it arrived: the `age` of other caches, and the time that the request took (RFC 9111
 * section 4.2.3, `corrected_age_value`). The `date` of the answer does not count: a clock behind ours would make each
 * answer old. A malformed `age` is ignored, and of several the first counts (section 5.1).
 */
export function toInitialAge(
  age: string | undefined,
  { requestMs, receivedMs }: FetchTimes,
): number {
  const first = age?.split(",", 1)[0]?.trim() ?? "";
  const seconds = /^\d+$/.test(first) ? Math.min(Number(first), MOST_SECONDS) : 0;
  return seconds * 1000 + Math.max(0, receivedMs - requestMs);
}

/** Returns the age of an entry (RFC 9111 section 4.2.3). Never negative, also after the clock was set back. */
export function currentAgeMs(head: StoredHead, nowMs: number): number {
  return head.initialAgeMs + Math.max(0, nowMs - head.receivedMs);
}

function toLength(ms: number): number {
  return Math.min(Math.max(0, ms), MOST_SECONDS * 1000);
}

import { findField } from "../http/find-field.ts";
import { parseRequestDirectives, type RequestDirectives } from "./directives.ts";
import { currentAgeMs } from "./freshness.ts";
import type { CachePolicy } from "./policy.ts";
import type { StoredHead } from "./stored-head.ts";

/**
 * The use of an entry for a request:
 *
 * - `serve`: the entry is fresh, or the client accepts it stale.
 * - `serve-and-refresh`: the entry is served stale, and fetched again in the background (RFC 5861 section 3).
 * - `validate`: the responder is asked first.
 * - `unavailable`: the client wants no other answer than a stored one, and gets 504 (RFC 9111 section 5.2.1.7).
 */
export type Reuse = "serve" | "serve-and-refresh" | "validate" | "unavailable";

/** Tells how a request meets the cache. */
export type Access =
  /** Its answer may come from the cache. */
  | { kind: "look-up"; directives: RequestDirectives | null }
  /** It goes to the responder. Its answer is not stored, but may invalidate entries. */
  | { kind: "bypass" };

const NO_WISHES: Access = Object.freeze({ kind: "look-up", directives: null });
const BYPASS: Access = Object.freeze({ kind: "bypass" });

/**
 * Decides whether a request may be answered from the cache. GET and HEAD may, unless they have a precondition that only
 * the origin can evaluate (RFC 9111 section 4.3.2).
 *
 * @param fields Field block of the request.
 */
export function resolveAccess(method: string, fields: string, policy: CachePolicy): Access {
  if (method !== "GET" && method !== "HEAD") return BYPASS;
  // Nearly all requests: one look for a part of the names is cheaper than one for each name.
  if (!fields.includes("if-") && !fields.includes("cache-c") && !fields.includes("pragma")) {
    return NO_WISHES;
  }
  const hasOwn = ORIGIN_CONDITIONS.some((name) => findField(fields, name) !== undefined);
  if (hasOwn) return BYPASS;
  if (!policy.obeysClients) return NO_WISHES;
  const directives = parseRequestDirectives(
    findField(fields, "cache-control"),
    findField(fields, "pragma"),
  );
  return directives === null ? NO_WISHES : { kind: "look-up", directives };
}

const ORIGIN_CONDITIONS = ["if-match", "if-unmodified-since"];

/**
 * Decides how an entry is used (RFC 9111 section 4).
 *
 * @param directives From `resolveAccess`.
 */
export function resolveReuse(
  head: StoredHead,
  directives: RequestDirectives | null,
  nowMs: number,
): Reuse {
  const reuse =
    directives === null ? reuseFor(head, nowMs) : reuseForWishes(head, directives, nowMs);
  return reuse === "validate" && directives?.onlyIfCached === true ? "unavailable" : reuse;
}

/**
 * Tells whether an entry may be served after its validation failed: the responder answered 500, 502, 503 or 504, or gave
 * no answer (RFC 5861 section 4). With `must-revalidate` it never may: the client gets the error (RFC 9111 section
 * 5.2.2.2).
 */
export function isUsableOnError(
  head: StoredHead,
  directives: RequestDirectives | null,
  nowMs: number,
): boolean {
  if (head.mustRevalidate || head.alwaysValidate || directives?.noCache === true) return false;
  const allowedMs = Math.max(head.staleIfErrorMs, (directives?.staleIfError ?? 0) * 1000);
  return stalenessMs(head, nowMs) < allowedMs;
}

/** Statuses after which a stale entry may be served (RFC 5861 section 4). */
export function isServerError(status: number): boolean {
  return status === 500 || (status >= 502 && status <= 504);
}

/** Time since the entry became stale; negative: it is fresh for that time. */
export function stalenessMs(head: StoredHead, nowMs: number): number {
  return currentAgeMs(head, nowMs) - head.lifetimeMs;
}

function reuseFor(head: StoredHead, nowMs: number): Reuse {
  if (head.alwaysValidate) return "validate";
  const staleMs = stalenessMs(head, nowMs);
  // An entry whose age equals its lifetime is stale: the lifetime must exceed the age (section 4.2).
  if (staleMs < 0) return "serve";
  return staleMs < head.staleWhileRevalidateMs ? "serve-and-refresh" : "validate";
}

function reuseForWishes(head: StoredHead, wishes: RequestDirectives, nowMs: number): Reuse {
  if (head.alwaysValidate || wishes.noCache) return "validate";
  const staleMs = stalenessMs(head, nowMs);
  const isFresh = staleMs < 0;
  if (wishes.minFresh !== null && -staleMs < wishes.minFresh * 1000) return "validate";
  if (wishes.maxAge !== null && currentAgeMs(head, nowMs) > wishes.maxAge * 1000) {
    // A reload asks with 0. The author of an immutable answer says that a validation is in vain (RFC 8246).
    const isNeedless = head.isImmutable && isFresh && wishes.maxAge === 0;
    if (!isNeedless) return "validate";
  }
  if (isFresh) return "serve";
  if (head.mustRevalidate) return "validate";
  if (wishes.maxStale !== null && staleMs <= wishes.maxStale * 1000) return "serve";
  // With `max-age`, a client that names no `max-stale` does not take a stale answer (section 5.2.1.1).
  return wishes.maxAge === null && staleMs < head.staleWhileRevalidateMs
    ? "serve-and-refresh"
    : "validate";
}

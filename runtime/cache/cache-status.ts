import type { CacheResult } from "../http/cache-result.ts";

/** The handling of a request by the cache, for its `cache-status` field (RFC 9211 section 2). */
export type CacheOutcome =
  | { kind: "hit"; ttlSeconds: number }
  | {
      kind: "forward";
      /** Why the request went to the responder (section 2.2). */
      reason: ForwardReason;
      /** Status of the responder's answer, where it differs from that of the reply; absent: the same. */
      status?: number;
      /** The answer was stored. */
      isStored?: boolean;
      /** The request waited for the answer to another one. */
      isCollapsed?: boolean;
      /** Lifetime that is left; negative: the answer is stale. */
      ttlSeconds?: number;
      /** A token that says more, e.g. why an answer was not stored. */
      detail?: string;
    };

export type ForwardReason =
  | "bypass"
  | "method"
  | "uri-miss"
  | "vary-miss"
  | "miss"
  | "request"
  | "stale"
  | "partial";

/** Name of this cache in the list. */
export const CACHE_NAME = "Edgicorn";

/** Returns this cache's member of the `cache-status` field. It is appended to the members of caches behind this one. */
export function formatCacheStatus(outcome: CacheOutcome): string {
  if (outcome.kind === "hit") return `${CACHE_NAME}; hit; ttl=${outcome.ttlSeconds}`;
  const { reason, status, isStored, isCollapsed, ttlSeconds, detail } = outcome;
  let member = `${CACHE_NAME}; fwd=${reason}`;
  if (status !== undefined) member += `; fwd-status=${status}`;
  if (ttlSeconds !== undefined) member += `; ttl=${ttlSeconds}`;
  if (isStored === true) member += "; stored";
  if (isCollapsed === true) member += "; collapsed";
  if (detail !== undefined) member += `; detail=${detail}`;
  return member;
}

/** Returns the result of the cache for the access log and the counters: one word, where `cache-status` has details. */
export function toCacheResult(outcome: CacheOutcome): CacheResult {
  if (outcome.kind === "hit") return outcome.ttlSeconds >= 0 ? "hit" : "stale";
  const { reason, status, isCollapsed, ttlSeconds } = outcome;
  // Only an entry that is served after a failure has a lifetime here.
  if (ttlSeconds !== undefined) return "stale";
  if (isCollapsed === true) return "collapsed";
  switch (reason) {
    case "bypass":
    case "method":
      return "bypass";
    case "stale":
      return status === 304 ? "revalidated" : "expired";
    case "uri-miss":
    case "vary-miss":
    case "miss":
    case "request":
    case "partial":
      return "miss";
  }
}

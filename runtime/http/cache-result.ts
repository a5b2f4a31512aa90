/** Results of the response cache for a request, for the access log and for counters. */
export const CACHE_RESULTS = [
  /** A stored answer, which is fresh. */
  "hit",
  /** A stored answer that is stale. It is refreshed in the background, or the responder failed. */
  "stale",
  /** A stored answer, after the responder confirmed it (304). */
  "revalidated",
  /** An answer of the responder in place of a stale one. */
  "expired",
  /** An answer of the responder: none was stored. */
  "miss",
  /** The answer to another request, for which this one waited. */
  "collapsed",
  /** An answer of the responder: the request is not for the cache. */
  "bypass",
] as const;

/** Result of the response cache for a request. */
export type CacheResult = (typeof CACHE_RESULTS)[number];

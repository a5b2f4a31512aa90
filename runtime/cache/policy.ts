import type { QueryRule } from "./cache-key.ts";

/** Settings of a cache that its decisions depend on. Plain data. */
export interface CachePolicy {
  /** Freshness lifetime of answers that state none themselves, by status. A status that is absent has none. */
  readonly ttlMsByStatus: ReadonlyMap<number, number>;
  /** Estimates a lifetime from `last-modified` where nothing states one (RFC 9111 section 4.2.2). */
  readonly isHeuristic: boolean;
  /** Times for answers that state none themselves (RFC 5861). */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /**
   * Follows the `cache-control` of requests. They are advice that a cache may ignore (RFC 9111 section 5.2.1). A server
   * that follows them lets each client cause work for its handlers.
   */
  readonly obeysClients: boolean;
  /** Fields that replace `cache-control` for this cache, the strongest first (RFC 9213 section 2.2). In lower case. */
  readonly targets: readonly string[];
  /** Parameters and cookies that belong to the key. */
  readonly query: QueryRule;
  readonly cookies: readonly string[];
}

/** A policy that only follows the answers. */
export const DEFAULT_POLICY: CachePolicy = Object.freeze({
  ttlMsByStatus: new Map(),
  isHeuristic: false,
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  obeysClients: true,
  targets: Object.freeze(["cdn-cache-control"]),
  query: Object.freeze({ kind: "all" }),
  cookies: Object.freeze([]),
});

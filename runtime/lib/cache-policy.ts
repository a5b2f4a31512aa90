/** How the response cache treats the answers of a route. Plain data. */
export interface CachePolicy {
  /** How long an answer is fresh that does not say so itself; `null`: such an answer is not stored. */
  readonly maxAgeMs: number | null;
  /**
   * How long an answer that is not fresh any more may still be served while a newer one is fetched, and after a failure;
   * `null`: as the answer itself says.
   */
  readonly staleMs: number | null;
  /** The only parameters of the query that tell answers apart; `null`: all of them. Others do not reach the handler. */
  readonly query: readonly string[] | null;
  /** Parameters of the query that tell no answers apart. They do not reach the handler. */
  readonly ignoreQuery: readonly string[];
  /** Cookies that tell answers apart. */
  readonly cookies: readonly string[];
}

/** The effect of a reload with other code on stored answers of handlers. A list: answers with one of these tags are purged. */
export type CacheReload = "drop" | "keep" | readonly string[];

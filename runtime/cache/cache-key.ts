/**
 * Identity of stored answers before `Vary` is considered (RFC 9111 section 2): one URL, with the parameters and cookies
 * that count. The methods GET and HEAD share a key. No other method is stored.
 */
export interface CacheKey {
  /** Origin and path, e.g. `https://example.com/a/b`. The name of another space than the default one stands before. */
  readonly page: string;
  /** The query with its `?`, reduced to the parameters that count; `""`: none. */
  readonly search: string;
  /** The cookies that count, as text; `""`: none. */
  readonly cookies: string;
  /** The rule that reduced the query. The same rule finds the entry when its URL is purged. */
  readonly rule: QueryRule;
}

/** The parameters of a query that belong to the key. */
export type QueryRule =
  | { readonly kind: "all" }
  /** Only these parameters, sorted by name. */
  | { readonly kind: "only"; readonly names: readonly string[] }
  /** All but these, in the order of the request. */
  | { readonly kind: "except"; readonly names: readonly string[] };

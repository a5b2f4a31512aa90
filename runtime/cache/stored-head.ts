/**
 * The head of a stored answer, and the numbers that its freshness is computed from. Plain data, frozen: a 304 makes a
 * new one. All times are milliseconds of the wall clock.
 */
export interface StoredHead {
  readonly status: number;
  readonly statusText: string;
  /**
   * Field block (see `channel/messages.ts`) as clients get it: without `age`, `content-length`, hop-by-hop fields and
   * fields that `private` or `no-cache` name.
   */
  readonly fields: string;
  /** Size of the whole body. */
  readonly bodyBytes: number;
  /** Entity tag with its quotes; `null`: none. */
  readonly etag: string | null;
  /** Value of `last-modified`, an HTTP-date; `null`: none. */
  readonly lastModified: string | null;
  /** When the head of the answer arrived, or that of the last 304 (`response_time` in RFC 9111 section 4.2.3). */
  readonly receivedMs: number;
  /** Age of the answer at that moment (`corrected_initial_age`). Never negative. */
  readonly initialAgeMs: number;
  /** Freshness lifetime (RFC 9111 section 4.2.1). 0: stale at once. */
  readonly lifetimeMs: number;
  /** Time after the lifetime in which the entry may be served while it is fetched again (RFC 5861 section 3). */
  readonly staleWhileRevalidateMs: number;
  /** Time after the lifetime in which the entry may be served instead of an error (RFC 5861 section 4). */
  readonly staleIfErrorMs: number;
  /** The entry is never served stale: `must-revalidate` or `proxy-revalidate` (RFC 9111 section 5.2.2). */
  readonly mustRevalidate: boolean;
  /** Each use of the entry needs a successful validation: `no-cache` without field names (section 5.2.2.4). */
  readonly alwaysValidate: boolean;
  /** A client that reloads the page gets the entry while it is fresh (RFC 8246 section 2). */
  readonly isImmutable: boolean;
  /** Names of `vary`, in lower case, sorted. */
  readonly vary: readonly string[];
  /** Names by which the entry can be purged. */
  readonly tags: readonly string[];
}

import type { ExchangeId } from "../http/client.ts";
import type { HitFields } from "./hit-fields.ts";
import type { CacheStore } from "./store.ts";

/** The parts that all cached responders of a primary share. */
export interface CacheParts {
  readonly store: CacheStore;
  readonly hitFields: HitFields;
  /** Returns the id of a request that the cache sends. */
  nextId(): ExchangeId;
  /** Returns the wall clock, in milliseconds since the epoch. */
  now(): number;
  /** Returns how long a visitor waits for an answer that is fetched for another one. */
  waitMs(): number;
}

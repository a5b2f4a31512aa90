import type { Client } from "../http/client.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { CacheKey } from "./cache-key.ts";
import type { CacheOutcome } from "./cache-status.ts";
import type { RequestDirectives } from "./directives.ts";
import type { CachePolicy } from "./policy.ts";

/** A request of a visitor that may be answered from the cache. */
export interface Visit {
  readonly client: Client;
  readonly target: ParsedTarget;
  readonly key: CacheKey;
  readonly policy: CachePolicy;
  readonly directives: RequestDirectives | null;
  /** The visitor left. */
  hasLeft: boolean;
}

/** Why a request goes to the responder, for `cache-status`. */
export type Forward = Extract<CacheOutcome, { kind: "forward" }>;

import type { Client } from "../http/client.ts";
import type { Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { CachePolicy } from "../lib/cache-policy.ts";
import type { ResponseCache } from "./response-cache.ts";

/** Puts the cache in front of a responder for requests whose rule, or site, has a policy. */
export class CacheByPolicy implements Responder {
  readonly #inner: Responder;
  readonly #cache: Pick<ResponseCache, "around">;
  /** The policy of the site. */
  readonly #policy: CachePolicy | "off";
  readonly #cached = new Map<CachePolicy, Responder>();

  constructor(
    inner: Responder,
    { cache, policy }: { cache: Pick<ResponseCache, "around">; policy: CachePolicy | "off" },
  ) {
    this.#inner = inner;
    this.#cache = cache;
    this.#policy = policy;
  }

  answer(client: Client, target: ParsedTarget): void {
    const policy = target.settings?.cache ?? this.#policy;
    if (policy === "off") {
      this.#inner.answer(client, target);
      return;
    }
    let cached = this.#cached.get(policy);
    if (cached === undefined) {
      // No code of this server makes the answers: a reload keeps them.
      cached = this.#cache.around(this.#inner, { policy, version: null });
      this.#cached.set(policy, cached);
    }
    cached.answer(client, target);
  }
}

import type { Client } from "../http/client.ts";
import { lead, type Responder } from "../http/responder.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { CachePolicy } from "../lib/cache-policy.ts";
import type { ResponseCache } from "./response-cache.ts";

/** Puts the cache in front of a proxy for requests whose rule, or site, has a policy. */
export class CacheByPolicy implements Responder {
  readonly #inner: Responder;
  readonly #cache: Pick<ResponseCache, "around">;
  /** The policy of the site. */
  readonly #policy: CachePolicy | "off";
  readonly #destination: string;
  readonly #cached = new Map<CachePolicy, Responder>();

  constructor(
    inner: Responder,
    options: {
      cache: Pick<ResponseCache, "around">;
      policy: CachePolicy | "off";
      /** Name of the responder: no other one gets its answers. */
      destination: string;
    },
  ) {
    const { cache, policy, destination } = options;
    this.#inner = inner;
    this.#cache = cache;
    this.#policy = policy;
    this.#destination = destination;
  }

  answer(client: Client, target: ParsedTarget): void {
    this.#responderFor(target).answer(client, target);
  }

  explain(client: Client, target: ParsedTarget): void {
    lead(this.#responderFor(target), client, target);
  }

  #responderFor(target: ParsedTarget): Responder {
    const policy = target.settings?.cache ?? this.#policy;
    if (policy === "off") return this.#inner;
    let cached = this.#cached.get(policy);
    if (cached === undefined) {
      // No code of this server makes the answers: a reload keeps them.
      cached = this.#cache.around(this.#inner, {
        policy,
        version: null,
        destination: this.#destination,
        acceptsWebSockets: true,
      });
      this.#cached.set(policy, cached);
    }
    return cached;
  }
}

import { createHash } from "node:crypto";
import type { Client } from "../http/client.ts";
import type { Inquiry } from "../http/inquiry.ts";
import { addFilter } from "../http/reply.ts";
import { RefusalLog } from "../observe/refusal-log.ts";
import { createKeyReader, type KeyReader, type LimitKey } from "./limit-key.ts";
import type { LimitContext } from "./limit-context.ts";
import type { NextStates } from "../lib/kept-states.ts";
import { formatRate, type Rate } from "../lib/rate.ts";
import type { SharedTakings, TakingRequest } from "./shared-takings.ts";
import { type Taking, TokenBuckets } from "./token-buckets.ts";

/** A rate limit, as the config says it. Plain data. */
export interface RateLimit {
  readonly rate: Rate;
  /** Requests that a client may send at once. */
  readonly burst: number;
  readonly key: LimitKey;
  /** The limit only logs and counts: it refuses no request. */
  readonly dryRun: boolean;
}

export interface RateLimiterOptions extends LimitContext {
  /** The place of the limit in the config or among the routes, for logs: `rules[2]`, `/users/:id`. */
  place: string;
  /** Names the limit among all others. A limit that a reload does not change keeps its name. */
  id: string;
  states: NextStates;
  /** Joins the limit with those of other servers. */
  takings: SharedTakings;
}

/** Admits as many requests of each client as a rate allows. Answers all others with 429. */
export class RateLimiter {
  readonly #options: RateLimiterOptions;
  /** Names the buckets, here and at other servers. */
  readonly #name: string;
  readonly #buckets: TokenBuckets;
  readonly #keyOf: KeyReader;
  readonly #isDryRun: boolean;
  readonly #refusals: RefusalLog;
  /** Parts of the fields that do not change (draft-ietf-httpapi-ratelimit-headers-10 sections 3 and 4). */
  readonly #policy: string;
  readonly #itemName: string;

  constructor({ rate, burst, key, dryRun }: RateLimit, options: RateLimiterOptions) {
    const { place, id, states, log } = options;
    const name = formatRate(rate);
    this.#options = options;
    this.#keyOf = createKeyReader(key);
    this.#isDryRun = dryRun;
    // A dry run has buckets of its own: a limit that takes effect begins with full ones.
    this.#name = toName(JSON.stringify([id, rate, burst, key, dryRun]));
    this.#buckets = states.take(this.#name, () => new TokenBuckets({ rate, burst }));
    this.#refusals = new RefusalLog(log.child({ place, rate: name, burst }), {
      setting: "rateLimit",
      message: dryRun
        ? "rate limit (dry run): requests that it would refuse"
        : "rate limit: requests refused",
    });
    this.#itemName = `"${name}"`;
    const windowSeconds = Math.ceil(rate.windowMs / 1_000);
    this.#policy = `ratelimit-policy\n${this.#itemName};q=${rate.requests};w=${windowSeconds}`;
  }

  /** Tells whether the client may send this request now. If not, answers it. */
  admits(client: Client): boolean {
    if (client.inquiry !== undefined) return this.#explain(client, client.inquiry);
    const { takings } = this.#options;
    const taking = takings.take(this.#name, this.#buckets, this.#requestOf(client));
    if (this.#isDryRun) {
      if (!taking.isAllowed) this.#refusals.note(this.#buckets.rate.requests);
      return true;
    }
    this.#addFields(client, taking);
    if (taking.isAllowed) return true;
    this.#refusals.note(this.#buckets.rate.requests);
    this.#options.counters.limit("rateLimit", client);
    client.refuse(429, { retryAfterSeconds: toSeconds(taking.waitMs) });
    return false;
  }

  /** As `admits`, but takes no token and counts nothing. */
  #explain(client: Client, inquiry: Inquiry): boolean {
    const { place } = this.#options;
    const { key, nowMs } = this.#requestOf(client);
    const taking = this.#buckets.peek(key, nowMs);
    inquiry.note(
      `${place}: ${this.#itemName} admits ${taking.left} more requests of this client now` +
        (this.#isDryRun ? " (dry run: refuses none)" : ""),
    );
    if (this.#isDryRun || taking.isAllowed) return true;
    client.refuse(429, { retryAfterSeconds: toSeconds(taking.waitMs) });
    return false;
  }

  #requestOf(client: Client): TakingRequest {
    return { key: this.#keyOf(client), nowMs: client.receivedMs };
  }

  #addFields(client: Client, { left, waitMs }: Taking): void {
    const own = `${this.#policy}\nratelimit\n${this.#itemName};r=${left};t=${toSeconds(waitMs)}`;
    addFilter(client, (reply) => ({
      ...reply,
      fields: reply.fields === "" ? own : `${reply.fields}\n${own}`,
    }));
  }
}

/** Conditions of rules may have secrets in them, and names leave the server. */
function toName(settings: string): string {
  return `rate ${createHash("sha256").update(settings).digest("base64url")}`;
}

/** Rounds up, so that a client that waits as long as it was told gets through. */
function toSeconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}

import type { Client } from "../http/client.ts";
import { whenFinished } from "../http/when-finished.ts";
import { RefusalLog } from "../observe/refusal-log.ts";
import { createKeyReader, type KeyReader, type LimitKey } from "./limit-key.ts";
import type { LimitContext } from "./limit-context.ts";
import type { NextStates } from "../lib/kept-states.ts";

/** A limit of requests at a time, as the config says it. Plain data. */
export interface ConcurrencyLimit {
  /** Most requests in flight. */
  readonly most: number;
  readonly key: LimitKey;
}

export interface ConcurrencyLimiterOptions extends LimitContext {
  /** The place of the limit in the config, for logs: `rules[2]`. */
  place: string;
  /** Names the limit among all others. A limit that a reload does not change keeps its name. */
  id: string;
  states: NextStates;
}

/** `Retry-After` of a refused request. */
const RETRY_AFTER_SECONDS = 1;

/**
 * Admits so many requests of each client at a time. Answers all others: with 429 where a client has its own count, with
 * 503 where all clients share one.
 *
 * A request counts until its response is complete, its client has left, or the server has broken it off.
 */
export class ConcurrencyLimiter {
  readonly #options: ConcurrencyLimiterOptions;
  readonly #most: number;
  readonly #keyOf: KeyReader;
  readonly #status: 429 | 503;
  /** Requests in flight by key. Has no entry for a key without any. */
  readonly #inFlight: Map<string, number>;
  readonly #refusals: RefusalLog;

  constructor({ most, key }: ConcurrencyLimit, options: ConcurrencyLimiterOptions) {
    const { place, id, states, log } = options;
    this.#options = options;
    this.#most = most;
    this.#keyOf = createKeyReader(key);
    this.#status = key === "site" ? 503 : 429;
    // Without `most`: the requests in flight count against a changed limit, too.
    const state = JSON.stringify(["concurrency", id, key]);
    this.#inFlight = states.take(state, () => new Map<string, number>());
    this.#refusals = new RefusalLog(log.child({ place }), {
      setting: "concurrencyLimit",
      message: "concurrency limit: requests refused",
    });
  }

  /** Tells whether the client may have one more request in flight. If not, answers it. */
  admits(client: Client): boolean {
    const key = this.#keyOf(client);
    const inFlight = this.#inFlight.get(key) ?? 0;
    const { inquiry } = client;
    if (inquiry !== undefined) {
      inquiry.note(`${this.#options.place}: ${inFlight} of ${this.#most} requests are in flight`);
      if (inFlight < this.#most) return true;
      client.refuse(this.#status, { retryAfterSeconds: RETRY_AFTER_SECONDS });
      return false;
    }
    if (inFlight >= this.#most) {
      this.#refusals.note(this.#most);
      this.#options.counters.limit("concurrencyLimit", client);
      client.refuse(this.#status, { retryAfterSeconds: RETRY_AFTER_SECONDS });
      return false;
    }
    this.#inFlight.set(key, inFlight + 1);
    whenFinished(client, () => this.#finished(key));
    return true;
  }

  #finished(key: string): void {
    const inFlight = (this.#inFlight.get(key) ?? 0) - 1;
    if (inFlight > 0) this.#inFlight.set(key, inFlight);
    else this.#inFlight.delete(key);
  }
}

import type { Client } from "./client.ts";
import type { LimitName } from "./limit-names.ts";

/** How long a refused client is asked to wait. */
const RETRY_AFTER_SECONDS = 1;

export interface AdmissionOptions {
  /** `admitted`: requests that responders have admitted and not yet settled. */
  counters: { readonly admitted: number; limit(name: LimitName, client: Client): void };
  /** Called for each request that is refused. */
  onRefused: (limit: number) => void;
}

/** Bounds the requests of all responders together. Responders count them in `counters.admitted`. */
export class Admission {
  /** Most requests; `null`: any number. May change. */
  limit: number | null = null;
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * Tells whether one more request may be admitted. Refuses it with 503 if not.
   *
   * @param options.isReserved The request is admitted where others are refused.
   */
  admits(client: Client, { isReserved }: { isReserved: boolean }): boolean {
    const { limit } = this;
    const { counters, onRefused } = this.#options;
    if (limit === null || isReserved || counters.admitted < limit) return true;
    counters.limit("maxRequests", client);
    onRefused(limit);
    client.refuse(503, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    return false;
  }
}

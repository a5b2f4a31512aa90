import type { Client } from "./client.ts";
import type { LimitName } from "./limit-names.ts";

/** `Retry-After` of a refused request. */
const RETRY_AFTER_SECONDS = 1;

export interface AdmissionOptions {
  /** `admitted`: the number of requests that responders have admitted and not yet settled. */
  counters: { readonly admitted: number; limit(name: LimitName, client: Client): void };
  /** Called for each request that is refused. */
  onRefused: (limit: number) => void;
}

/** Limits the requests in flight of all responders together. Responders count them in `counters.admitted`. */
export class Admission {
  /** Most requests in flight; `null`: no limit. May change at any time. */
  limit: number | null = null;
  readonly #options: AdmissionOptions;

  constructor(options: AdmissionOptions) {
    this.#options = options;
  }

  /**
   * Tells whether one more request may be admitted. If not, answers it with 503.
   *
   * @param options.isReserved The request is admitted even above the limit.
   */
  admits(client: Client, { isReserved }: { isReserved: boolean }): boolean {
    const { limit } = this;
    const { counters, onRefused } = this.#options;
    if (limit === null || isReserved || counters.admitted < limit) return true;
    if (client.inquiry === undefined) {
      counters.limit("maxRequests", client);
      onRefused(limit);
    }
    client.inquiry?.note(`as many requests are in flight as maxRequests allows: ${limit}`);
    client.refuse(503, { retryAfterSeconds: RETRY_AFTER_SECONDS });
    return false;
  }
}

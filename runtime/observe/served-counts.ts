import type { ExchangeId } from "../channel/messages.ts";

/** The requests that the routes of a generation have taken. */
export interface Counts {
  requests: number;
  /** Requests that ended with a status of 500 or above. */
  errors: number;
}

/** Most spans that are kept. */
const MOST_SPANS = 100;

/** A period in which one generation got all new requests. */
interface Span {
  id: string;
  /** The first exchange of this span. Ids only grow. */
  firstExchangeId: number;
  counts: Counts;
}

/**
 * Counts requests per generation, for the lifetime of this process.
 *
 * A request is counted when a route takes it. Its failure is known when it ends, perhaps long after another generation
 * took over. The exchange's id tells which generation took it, so no record per request is needed.
 */
export class ServedCounts {
  /** Oldest first. */
  readonly #spans: Span[] = [];

  /** Begins a span: the generation gets all requests from this exchange on. Returns its counters. */
  begin(id: string, firstExchangeId: number): Counts {
    const counts = { requests: 0, errors: 0 };
    this.#spans.push({ id, firstExchangeId, counts });
    if (this.#spans.length > MOST_SPANS) this.#spans.shift();
    return counts;
  }

  failed(exchangeId: ExchangeId): void {
    const span = this.#spans.findLast(({ firstExchangeId }) => exchangeId >= firstExchangeId);
    if (span !== undefined) span.counts.errors++;
  }

  /** Returns the sum over all spans of a generation. */
  of(id: string): Counts {
    const total = { requests: 0, errors: 0 };
    for (const { id: other, counts } of this.#spans) {
      if (other !== id) continue;
      total.requests += counts.requests;
      total.errors += counts.errors;
    }
    return total;
  }
}

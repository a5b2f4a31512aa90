import type { ExchangeId } from "../channel/messages.ts";

/** What a generation has taken on, and what became of it. */
export interface Counts {
  requests: number;
  /** That ended with a status of 500 or above. */
  errors: number;
}

/** More switches than anybody will ask about; what lies before them is forgotten. */
const MOST_SPANS = 100;

/** A time in which one generation got all new requests. */
interface Span {
  id: string;
  /** The first exchange that may be its own: their ids only grow. */
  firstExchangeId: number;
  counts: Counts;
}

/**
 * Counts per generation, for as long as this process lives.
 *
 * A request is counted where it is admitted. That one failed is known when it ends, perhaps long after another generation
 * took over: the id of its exchange tells which one had it, so nothing must be remembered for each.
 */
export class ServedCounts {
  /** Oldest first. */
  readonly #spans: Span[] = [];

  /** From this exchange on, a generation gets all. Returns where it counts what it admits. */
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

  /** Over all times in which the generation served. */
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

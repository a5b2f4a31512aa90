import type { ExchangeFacts } from "./context.ts";

/** The exchange, scheduled run or event of a WebSocket whose code runs. */
export interface Running {
  readonly facts: ExchangeFacts;
  /** Returns the signal that aborts when its client leaves or its time is over; `null`: it has none. */
  readonly signal: () => AbortSignal | null;
  /** Tells whether its handler has answered: only `waitUntil()` and the stream of its answer go on. */
  readonly isAnswered: () => boolean;
}

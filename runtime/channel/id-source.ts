import type { ExchangeId, WorkerId } from "./messages.ts";

/** Makes the ids of one primary. No other code makes one. */
export class IdSource {
  #exchange = 0;
  #worker = 0;

  /** The id that the next exchange gets. */
  get upcomingExchange(): ExchangeId {
    // A number becomes an id here only.
    return (this.#exchange + 1) as ExchangeId;
  }

  /** Returns the id of a new exchange. */
  nextExchange(): ExchangeId {
    // A number becomes an id here only.
    return ++this.#exchange as ExchangeId;
  }

  /** Returns the id of a new worker. */
  nextWorker(): WorkerId {
    // A number becomes an id here only.
    return ++this.#worker as WorkerId;
  }
}

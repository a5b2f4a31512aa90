import type { Logger } from "../log.ts";
import type { Counters } from "../observe/counters.ts";
import type { Exchange } from "./exchange.ts";
import type { Lanes } from "./lanes.ts";
import type { RoutePolicy } from "./recovery.ts";
import type { Settlement } from "./settlement.ts";

export interface RequestTimeoutsOptions {
  log: Logger;
  lanes: Lanes;
  settlement: Settlement;
  counters: Counters;
  routes: RoutePolicy;
}

/**
 * Ends what workers have had for longer than its timeout without an answer.
 *
 * Once the client has the beginning of an answer both sides live: a stream may take as long as it likes. One whose handler
 * has made a stream and nothing of it has no answer yet, as its head leaves with its first byte.
 *
 * A handler that has taken all that came of its request, and waits for the rest, is not to blame: its client is told that
 * it is too slow (408), and not that we are (504).
 */
export class RequestTimeouts {
  readonly #options: RequestTimeoutsOptions;

  constructor(options: RequestTimeoutsOptions) {
    this.#options = options;
  }

  expire(nowMs: number): void {
    for (const lane of this.#options.lanes.attached) {
      for (const exchange of lane.inFlight.values()) {
        const { timeoutMs, state, client, sinceMs } = exchange;
        if (state === "settled" || (state === "answering" && client.begun)) continue;
        if (timeoutMs > 0 && nowMs - sinceMs > timeoutMs) this.#end(exchange);
      }
    }
  }

  #end(exchange: Exchange): void {
    const { log, settlement, counters, routes } = this.#options;
    const { intake, timeoutMs, lane, client } = exchange;
    const fields = {
      ...routes.describe(exchange),
      workerId: lane?.workerId,
      timeoutMs,
      setting: "requestTimeout",
    };
    counters.limit("requestTimeout", client);
    if (intake?.waitsForClient === true) {
      const { receivedBytes } = intake;
      log.info({ ...fields, receivedBytes }, "slow client cut off: its handler waits for its body");
      settlement.fail(exchange, "ERR_BODY_TIMEOUT", "deadline");
    } else {
      log.error(fields, "handler took longer than its timeout");
      settlement.fail(exchange, "ERR_HANDLER_TIMEOUT", "deadline");
    }
  }
}

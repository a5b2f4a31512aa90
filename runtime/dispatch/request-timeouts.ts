import type { Logger } from "../log/log.ts";
import type { Counters } from "../observe/counters.ts";
import type { Exchange } from "./exchange.ts";
import type { Lanes } from "./lanes.ts";
import type { RoutePolicy } from "../recovery/recovery.ts";
import type { Settlement } from "./settlement.ts";

export interface RequestTimeoutsOptions {
  log: Logger;
  lanes: Lanes;
  settlement: Settlement;
  counters: Counters;
  routes: RoutePolicy;
}

/**
 * Ends exchanges whose workers have not answered within the timeout.
 *
 * The timeout ends with the first byte of the answer: a stream may take as long as it likes. A stream without a first
 * byte counts as no answer: its head leaves with the first byte.
 *
 * If the handler has read all of the body that has arrived, the client is too slow and gets 408. Otherwise the handler
 * is too slow, and the client gets 504.
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
    const { intake, timeoutMs, timeoutSetting: setting, lane, client } = exchange;
    const fields = {
      ...routes.describe(exchange),
      workerId: lane?.workerId,
      timeoutMs,
      setting,
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

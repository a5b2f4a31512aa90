import type { Client } from "../http/client.ts";
import type { LimitName } from "../http/limit-names.ts";
import type { Logger } from "../log/log.ts";

/** The parts of the server that all limits share. */
export interface LimitContext {
  readonly log: Logger;
  readonly counters: { limit(name: LimitName, client: Client): void };
}

import type { ResponseCache } from "../cache/response-cache.ts";
import { toPurgingSite, toSiteTable } from "../handlers/purges.ts";
import type { Config } from "../config/config.ts";
import type { Logger } from "../log/log.ts";
import type { HandlerSockets } from "../sockets/handler-sockets.ts";
import type { SharedTakings } from "../limits/shared-takings.ts";
import { Relay } from "./relay.ts";
import type { RelayMessage } from "./relay-message.ts";

export interface JoinedParts {
  log: Logger;
  cache: Pick<ResponseCache, "purgeTold">;
  sockets: Pick<HandlerSockets, "announce">;
  takings: Pick<SharedTakings, "apply" | "flush" | "isOn">;
}

/** Makes several servers act as one for topics, purges and rate limits, through the store that `relayStore` names. */
export class JoinedServers {
  readonly #parts: JoinedParts;
  readonly #relay: Relay;
  #config: Config | null = null;

  constructor(parts: JoinedParts) {
    this.#parts = parts;
    this.#relay = new Relay({ log: parts.log, onMessage: (message) => this.#take(message) });
  }

  /** Tells the other servers. Without `relayStore`, there are none. */
  send(message: RelayMessage): void {
    this.#relay.send(message);
  }

  /** Uses the store and the sites of another config from now on. */
  use(config: Config): void {
    this.#config = config;
    const store = config.stores.find(({ name }) => name === config.relayStore);
    const place = store?.kind === "redis" ? store : null;
    this.#parts.takings.isOn = place !== null;
    this.#relay.use(place).catch((error: unknown) => {
      this.#parts.log.error({ err: error }, "cannot join other servers: bug");
    });
  }

  close(): Promise<void> {
    this.#parts.takings.flush();
    return this.#relay.close();
  }

  #take(message: RelayMessage): void {
    const { log, cache, sockets, takings } = this.#parts;
    if (message.kind === "topic") {
      sockets.announce(message);
      return;
    }
    if (message.kind === "taken") {
      takings.apply(message.takings);
      return;
    }
    const { entries, site } = message;
    const own =
      site === null || this.#config === null
        ? undefined
        : toPurgingSite(site, toSiteTable(this.#config));
    cache.purgeTold(entries, own).catch((error: unknown) => {
      log.warn({ err: error, entries }, "purge of another server refused");
    });
  }
}

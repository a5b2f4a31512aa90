import { randomBytes } from "node:crypto";
import type { Logger } from "../log/log.ts";
import type { RedisPlace } from "../stores/connect-redis.ts";
import type { RedisLink } from "./redis-link.ts";
import { encodeRelayMessage, parseRelayMessage, type RelayMessage } from "./relay-message.ts";

/** Where servers meet. */
export interface RelayPlace extends RedisPlace {
  /** Goes before all names in Redis. Servers with another one do not hear each other. */
  readonly prefix: string;
}

export interface RelayOptions {
  log: Logger;
  /** Called for each message of another server. */
  onMessage: (message: RelayMessage) => void;
}

/**
 * Passes messages and purges of handlers on to other servers, and receives theirs. Messages of one server arrive in their
 * order, at most once: while Redis is away they are lost, and the log counts them.
 *
 *     off ──use(place)──▶ on ──use(null), close()──▶ off
 */
export class Relay {
  readonly #options: RelayOptions;
  readonly #server = randomBytes(9).toString("base64url");
  #place: RelayPlace | null = null;
  #link: RedisLink | null = null;

  constructor(options: RelayOptions) {
    this.#options = options;
  }

  /** Meets other servers at this place from now on. */
  async use(place: RelayPlace | null): Promise<void> {
    if (isSame(place, this.#place)) return;
    this.#place = place;
    const before = this.#link;
    this.#link = null;
    const closed = before?.close();
    if (place !== null) {
      const { RedisLink } = await import("./redis-link.ts");
      // Meanwhile the place may have changed again.
      if (this.#place === place) this.#link = this.#open(RedisLink, place);
    }
    await closed;
  }

  /** Tells the other servers. Never waits, and never throws. */
  send(message: RelayMessage): void {
    this.#link?.send(encodeRelayMessage(this.#server, message));
  }

  /** Resolves when messages that were sent have left, within the time of the place. */
  async close(): Promise<void> {
    await this.use(null);
  }

  /** An error in here must not end the connection to Redis, and this process with it. */
  #pass(message: RelayMessage): void {
    try {
      this.#options.onMessage(message);
    } catch (error) {
      this.#options.log.error({ err: error }, "message of another server failed: bug");
    }
  }

  #open(Link: typeof RedisLink, place: RelayPlace): RedisLink {
    const { log } = this.#options;
    return new Link({
      ...place,
      channel: `${place.prefix}:relay`,
      log,
      onBytes: (bytes) => {
        const parsed = parseRelayMessage(bytes);
        if (parsed === null) log.warn("message of another server ignored: found an unknown form");
        else if (parsed.server !== this.#server) this.#pass(parsed.message);
      },
    });
  }
}

function isSame(one: RelayPlace | null, other: RelayPlace | null): boolean {
  return (
    one?.url === other?.url && one?.prefix === other?.prefix && one?.timeoutMs === other?.timeoutMs
  );
}

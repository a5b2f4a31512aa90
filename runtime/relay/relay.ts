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

/** The log gets one line about unknown messages in this time. */
const UNKNOWN_LOG_MS = 10_000;

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
  /** The next time at which the log may get a line about unknown messages. */
  #nextUnknownMs = 0;

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
    // Without the takings of 100 ms, servers limit alone: no operator has to repeat anything.
    const isCounted = message.kind !== "taken";
    this.#link?.send(encodeRelayMessage(this.#server, message), { isCounted });
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

  /** A server of another version may send several each second. */
  #noteUnknown(): void {
    const nowMs = performance.now();
    if (nowMs < this.#nextUnknownMs) return;
    this.#nextUnknownMs = nowMs + UNKNOWN_LOG_MS;
    this.#options.log.warn("messages of another server ignored: found an unknown form");
  }

  #open(Link: typeof RedisLink, place: RelayPlace): RedisLink {
    const { log } = this.#options;
    return new Link({
      ...place,
      channel: `${place.prefix}:relay`,
      log,
      onBytes: (bytes) => {
        const parsed = parseRelayMessage(bytes);
        if (parsed === null) this.#noteUnknown();
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

import { setTimeout as delay } from "node:timers/promises";
import type { RedisClientType } from "@redis/client";
import type { Logger } from "../log/log.ts";
import { settledWithin } from "../lib/settled-within.ts";
import { connectRedis, type RedisPlace } from "../stores/connect-redis.ts";
import { within } from "../stores/within.ts";

/** Waits before the next attempt to connect: the first one, and the longest. */
const FIRST_WAIT_MS = 100;
const LONGEST_WAIT_MS = 5_000;

/** Bytes that were sent and not yet taken by Redis. Further messages are lost. */
const MOST_WAITING_BYTES = 16 * 1024 * 1024;

/** The log gets one line about lost messages in this time. */
const LOST_LOG_MS = 10_000;

export interface RedisLinkOptions extends RedisPlace {
  /** The name under which all servers publish and subscribe. */
  readonly channel: string;
  readonly log: Logger;
  readonly onBytes: (bytes: Uint8Array) => void;
}

/** A connection that sends, and one that hears. */
interface Pair {
  readonly sender: RedisClientType;
  readonly hearer: RedisClientType;
  /** Gives both up: they are made anew. */
  readonly giveUp: () => void;
}

/**
 * A channel of Redis, to which this server publishes and which it hears. Connects again whenever a connection ends.
 *
 *     connecting ──both connections and the subscription──▶ open ──one ends──▶ connecting, after a wait
 *     any of them ──close()──▶ closed
 */
export class RedisLink {
  readonly #options: RedisLinkOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #pair: Pair | null = null;
  #waitingBytes = 0;
  readonly #leaving = new Set<Promise<unknown>>();
  #isClosing = false;
  /** Lost messages that the log does not have yet. */
  #lost = 0;
  #nextLogMs = 0;

  constructor(options: RedisLinkOptions) {
    this.#options = options;
    this.#running = this.#run();
  }

  /**
   * Publishes a message. It is lost while Redis is away or takes too long.
   *
   * @param isCounted The log tells how many of these were lost.
   */
  send(bytes: Buffer, { isCounted }: { isCounted: boolean }): void {
    const pair = this.#pair;
    if (pair === null || this.#waitingBytes + bytes.length > MOST_WAITING_BYTES) {
      this.#lose(isCounted);
      return;
    }
    this.#waitingBytes += bytes.length;
    const { channel, timeoutMs } = this.#options;
    const sending = within(pair.sender.publish(channel, bytes), timeoutMs, "an answer of Redis")
      .catch(() => {
        this.#lose(isCounted);
        // A connection that does not answer is as good as none.
        pair.giveUp();
      })
      .finally(() => {
        this.#waitingBytes -= bytes.length;
        this.#leaving.delete(sending);
      });
    this.#leaving.add(sending);
  }

  /** Hears nothing any more, and ends the connections once all that was sent has left, within the time of an answer. */
  async close(): Promise<void> {
    this.#isClosing = true;
    await settledWithin(Promise.all(this.#leaving), this.#options.timeoutMs);
    this.#stop.abort();
    await this.#running;
    this.#tellLost();
  }

  async #run(): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stop;
    let waitMs = FIRST_WAIT_MS;
    let isFailing = false;
    while (!signal.aborted) {
      const ended = new AbortController();
      const either = AbortSignal.any([signal, ended.signal]);
      try {
        // oxlint-disable-next-line no-await-in-loop -- One connection follows the other.
        const pair = await this.#connect(() => ended.abort());
        if (isFailing) log.info("the relay reaches Redis again");
        isFailing = false;
        waitMs = FIRST_WAIT_MS;
        this.#pair = pair;
        this.#tellLost();
        // oxlint-disable-next-line no-await-in-loop -- As above.
        await aborted(either);
        this.#pair = null;
        if (!signal.aborted) log.warn(ENDED);
        destroy(pair.sender);
        destroy(pair.hearer);
      } catch (error) {
        if (!isFailing) log.error({ err: error }, "the relay cannot reach Redis: tries again");
        isFailing = true;
      }
      // oxlint-disable-next-line no-await-in-loop -- As above.
      await delay(waitMs, undefined, { signal, ref: false }).catch(() => {});
      waitMs = Math.min(2 * waitMs, LONGEST_WAIT_MS);
    }
  }

  async #connect(onEnd: () => void): Promise<Pair> {
    const { channel, onBytes, timeoutMs } = this.#options;
    const sender = await connectRedis(this.#options, onEnd);
    let hearer: RedisClientType | null = null;
    try {
      hearer = await connectRedis(this.#options, onEnd);
      const hear = (bytes: Buffer): void => {
        if (!this.#isClosing) onBytes(bytes);
      };
      const subscribing = hearer.subscribe(channel, hear, true);
      await within(subscribing, timeoutMs, "an answer of Redis");
      return { sender, hearer, giveUp: onEnd };
    } catch (error) {
      destroy(sender);
      if (hearer !== null) destroy(hearer);
      throw error;
    }
  }

  #lose(isCounted: boolean): void {
    if (!isCounted) return;
    this.#lost++;
    if (performance.now() >= this.#nextLogMs) this.#tellLost();
  }

  #tellLost(): void {
    if (this.#lost === 0) return;
    const messages = this.#lost;
    this.#lost = 0;
    this.#nextLogMs = performance.now() + LOST_LOG_MS;
    this.#options.log.warn({ messages }, "messages did not reach other servers: Redis is away");
  }
}

const ENDED = "a connection of the relay to Redis ended: messages of other servers may be lost";

function destroy(client: RedisClientType): void {
  if (client.isOpen) client.destroy();
}

async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => {
    signal.addEventListener("abort", resolve, { once: true });
  });
}

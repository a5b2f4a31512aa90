import type { Channel } from "../channel/channel.ts";
import type {
  PurgedMessage,
  PurgeNumber,
  RouteNumber,
  ToPrimary,
  ToWorker,
} from "../channel/messages.ts";
import { Kind } from "../channel/messages.ts";

/** Longest text that names entries, in characters. No URL of a request is longer. */
const MOST_CHARACTERS = 64 * 1024;

/** The purges of this worker's handlers: asks the primary, which has the response cache. */
export class Purges {
  readonly #channel: Pick<Channel<ToWorker, ToPrimary>, "send">;
  readonly #waiting = new Map<
    PurgeNumber,
    { resolve: (count: number) => void; reject: (error: Error) => void }
  >();
  #last: PurgeNumber = 0;

  constructor(channel: Pick<Channel<ToWorker, ToPrimary>, "send">) {
    this.#channel = channel;
  }

  /**
   * Removes entries, as `Context.purge` describes.
   *
   * @param route The route of the handler, which decides about the site.
   * @returns The number of removed entries. Rejects with a `TypeError` for a text that names none.
   */
  async purge(route: RouteNumber, entries: string | URL): Promise<number> {
    const text = entries instanceof URL ? entries.href : entries;
    if (typeof text !== "string") {
      throw new TypeError(
        `Cannot purge: found a value of type ${typeof text}, expected text or a URL`,
      );
    }
    if (text.length > MOST_CHARACTERS) {
      throw new TypeError(
        `Cannot purge: found ${text.length} characters, expected at most ${MOST_CHARACTERS}`,
      );
    }
    const number = ++this.#last;
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.#channel.send([Kind.purge, number, route, text]);
    });
  }

  /** Takes the answer of the primary. */
  settle([, number, result]: PurgedMessage): void {
    const waiting = this.#waiting.get(number);
    this.#waiting.delete(number);
    if (typeof result === "number") waiting?.resolve(result);
    else waiting?.reject(new TypeError(result));
  }
}

import type { Channel } from "../channel/channel.ts";
import { Kind, type SocketAct, type ToPrimary, type ToWorker } from "../channel/messages.ts";

/** Bytes of acts that leave before the turn of the event loop ends. */
const MOST_BYTES = 512 * 1024;

/** Bytes of the acts of one handler above which they leave in several messages: a frame has a limit. */
const MOST_BYTES_OF_ONE = 4 * 1024 * 1024;

/**
 * Gathers the acts of handlers on WebSockets. The acts of one turn of the event loop leave as one message: when this
 * process is killed, the primary has all effects of a synchronous handler and its confirmation, or none of both.
 */
export class SocketOutbox {
  readonly #channel: Pick<Channel<ToWorker, ToPrimary>, "sendLent">;
  #acts: SocketAct[] = [];
  #bytes = 0;
  /** A handler runs. Its acts must not leave without its confirmation. */
  #isHeld = false;
  #isDue = false;

  constructor(channel: Pick<Channel<ToWorker, ToPrimary>, "sendLent">) {
    this.#channel = channel;
  }

  /** @param bytes Size of the message of the act, if it has one. */
  add(act: SocketAct, bytes = 0): void {
    this.#acts.push(act);
    this.#bytes += bytes;
    if (this.#bytes > (this.#isHeld ? MOST_BYTES_OF_ONE : MOST_BYTES)) this.#flush();
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(() => {
        this.#isDue = false;
        this.#flush();
      });
    }
  }

  /** Runs a handler, and keeps its acts together with the confirmation that it adds. */
  hold<T>(run: () => T): T {
    const before = this.#isHeld;
    this.#isHeld = true;
    try {
      return run();
    } finally {
      this.#isHeld = before;
    }
  }

  #flush(): void {
    if (this.#acts.length === 0) return;
    const acts = this.#acts;
    const bytes = this.#bytes;
    this.#acts = [];
    this.#bytes = 0;
    this.#channel.sendLent([Kind.socketActs, acts], bytes);
  }
}

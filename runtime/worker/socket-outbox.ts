import type { Channel } from "../channel/channel.ts";
import { Kind, type SocketAct, type ToPrimary, type ToWorker } from "../channel/messages.ts";

/** Bytes of acts that leave before the turn of the event loop ends. */
const MOST_BYTES = 512 * 1024;

/** Bytes of the acts of one handler above which they leave in several messages: a frame has a limit. */
const MOST_BYTES_OF_ONE = 4 * 1024 * 1024;

/** Size of an act beside that of its message: acts without a message must not gather without a bound. */
export const ACT_BYTES = 64;

/**
 * Gathers the acts of handlers on WebSockets. The acts of one turn of the event loop leave as one message: when this
 * process is killed, the primary has all effects of a synchronous handler and its confirmation, or none of both.
 */
export class SocketOutbox {
  readonly #channel: Pick<Channel<ToWorker, ToPrimary>, "sendLent">;
  /** Acts of handlers that have ended, or that may leave without a confirmation. */
  #acts: SocketAct[] = [];
  #bytes = 0;
  /** Acts of the handler that runs. They must not leave without its confirmation. `null`: none runs. */
  #held: SocketAct[] | null = null;
  #heldBytes = 0;
  #isDue = false;

  constructor(channel: Pick<Channel<ToWorker, ToPrimary>, "sendLent">) {
    this.#channel = channel;
  }

  /** @param bytes Size of the message of the act, if it has one. */
  add(act: SocketAct, bytes = 0): void {
    const size = bytes + ACT_BYTES;
    if (this.#held === null) {
      this.#acts.push(act);
      this.#bytes += size;
      this.#leaveInTime();
      return;
    }
    this.#held.push(act);
    this.#heldBytes += size;
    if (this.#heldBytes > MOST_BYTES_OF_ONE) this.#release([]);
  }

  /** Runs a handler, and keeps its acts together with the confirmation that it adds. */
  hold<T>(run: () => T): T {
    if (this.#held !== null) return run();
    this.#held = [];
    try {
      return run();
    } finally {
      this.#release(null);
    }
  }

  /** Moves the acts of the handler to those that may leave. Earlier ones leave first if all together are too many. */
  #release(next: SocketAct[] | null): void {
    const held = this.#held ?? [];
    const bytes = this.#heldBytes;
    this.#held = next;
    this.#heldBytes = 0;
    if (held.length === 0) return;
    if (this.#bytes + bytes > MOST_BYTES) this.#flush();
    if (this.#acts.length === 0) this.#acts = held;
    else for (const act of held) this.#acts.push(act);
    this.#bytes += bytes;
    this.#leaveInTime();
  }

  #leaveInTime(): void {
    if (this.#bytes > MOST_BYTES) this.#flush();
    else if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(() => {
        this.#isDue = false;
        this.#flush();
      });
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

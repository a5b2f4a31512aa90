import { WrappingSource } from "../../bodies/wrapping-source.ts";
import type { BodySource } from "../../http/client.ts";

/** Longest pause of a client that still sends after an early answer, as nginx's `lingering_timeout`. */
export const LINGER_MS = 5_000;

/** Longest time in all that such a client may send, as nginx's `lingering_time`. */
export const LINGER_TOTAL_MS = 30_000;

/**
 * A response's body whose bytes are sent at once, and whose end waits for `letEnd`.
 *
 * When a client asked to close the connection, the library cuts it off as soon as its response is complete. If the
 * client still sends its body then, the connection is reset, and a client that has not read the answer by that moment
 * never will.
 */
export class LingeringBody extends WrappingSource {
  readonly #onRead: () => void;
  #mayEnd = false;

  /** @param onRead Called when all bytes were read and only the end is missing. May be called again. */
  constructor(body: BodySource, onRead: () => void) {
    super(body);
    this.#onRead = onRead;
  }

  /** Lets the body end: the client has sent its own body, or its time is over. */
  letEnd(): void {
    this.#mayEnd = true;
    this.changed();
  }

  protected override get isDrained(): boolean {
    return this.#mayEnd;
  }

  protected override pull(maxBytes: number): Uint8Array | null {
    const piece = super.pull(maxBytes);
    if (piece === null && this.inner.state === "ended") this.#onRead();
    return piece;
  }
}

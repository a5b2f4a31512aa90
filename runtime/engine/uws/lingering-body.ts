import { WrappingSource } from "../../bodies/wrapping-source.ts";
import type { BodySource } from "../../http/client.ts";

/** Longest pause of a client that still sends its body after an early answer, like Nginx's `lingering_timeout`. */
export const LINGER_MS = 5_000;

/** Longest total time for such a client, like Nginx's `lingering_time`. */
export const LINGER_TOTAL_MS = 30_000;

/**
 * A response body whose bytes are sent at once, but which ends only after `letEnd`.
 *
 * When a client sent `Connection: close`, the library closes the connection as soon as the response is complete. If the
 * client is still sending its body, this resets the connection, and the client may lose the answer.
 */
export class LingeringBody extends WrappingSource {
  readonly #onRead: () => void;
  #mayEnd = false;

  /** @param onRead Called when all bytes were read and only the end is missing. May be called more than once. */
  constructor(body: BodySource, onRead: () => void) {
    super(body);
    this.#onRead = onRead;
  }

  /** Lets the body end, because the client has sent its own body or its time is over. */
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

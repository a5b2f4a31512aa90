import type { BodySource } from "../../http/client.ts";

/** Longest pause of a client that still sends after an early answer, as nginx's `lingering_timeout`. */
export const LINGER_MS = 5_000;

/** Longest time in all that such a client may send, as nginx's `lingering_time`. */
export const LINGER_TOTAL_MS = 30_000;

/**
 * A response's body that ends only when it is let, although all of it is sent at once.
 *
 * A client that asked to close the connection is cut off by the library as soon as its response is complete. If it still
 * sends its body then, the connection is reset, and a client that has not read the answer by that moment never will.
 */
export class LingeringBody implements BodySource {
  onChange: (() => void) | null = null;
  readonly #body: BodySource;
  readonly #onRead: () => void;
  #mayEnd = false;

  /** @param onRead All of it was read; only the end is missing. Perhaps called again. */
  constructor(body: BodySource, onRead: () => void) {
    this.#body = body;
    this.#onRead = onRead;
    body.onChange = () => this.onChange?.();
  }

  get state(): BodySource["state"] {
    const { state } = this.#body;
    return state === "ended" && !this.#mayEnd ? "open" : state;
  }

  get failedAs(): number {
    return this.#body.failedAs ?? 500;
  }

  read(maxBytes: number): Uint8Array | null {
    const piece = this.#body.read(maxBytes);
    if (piece === null && this.#body.state === "ended") this.#onRead();
    return piece;
  }

  cancel(): void {
    this.#body.cancel();
  }

  /** The client has sent its body, or has had time enough. */
  letEnd(): void {
    this.#mayEnd = true;
    this.onChange?.();
  }
}

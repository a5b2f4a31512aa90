/** Share of the memory that the waiting messages of one kind of WebSockets may take. */
export const WAITING_SHARE = 1 / 8;

/** Most bytes of one WebSocket that wait: four of the largest messages. */
const MOST_OF_ONE = 64 * 1024 * 1024;

/**
 * The bytes of all WebSockets of one kind that wait. The engine cannot pause a client, so a WebSocket in which too much
 * waits must close its client.
 */
export class WaitingBytes {
  readonly #mostBytes: number;
  #bytes = 0;
  /** Number of WebSockets in which bytes wait. */
  #count = 0;

  /** @param mostBytes Most bytes of all. While more wait, no WebSocket may have more than an equal share of them. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** The bytes of all WebSockets. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Counts a change of the bytes that wait in one WebSocket. */
  change(beforeBytes: number, afterBytes: number): void {
    this.#bytes += afterBytes - beforeBytes;
    this.#count += Number(afterBytes > 0) - Number(beforeBytes > 0);
  }

  /** Tells whether a WebSocket in which so many bytes wait must close its client. */
  isTooMuch(bytes: number): boolean {
    if (bytes > MOST_OF_ONE) return true;
    return this.#bytes > this.#mostBytes && bytes > this.#mostBytes / this.#count;
  }
}

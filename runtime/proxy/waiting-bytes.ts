/** Most bytes of one tunnel that wait for its upstream: four of the largest messages. */
const MOST_OF_ONE = 64 * 1024 * 1024;

/**
 * The bytes of all tunnels that wait for upstreams. The engine cannot pause a client, so a tunnel in which too much waits
 * must close its client.
 */
export class WaitingBytes {
  readonly #mostBytes: number;
  #bytes = 0;
  /** Number of tunnels in which bytes wait. */
  #tunnels = 0;

  /** @param mostBytes Most bytes of all tunnels. While more wait, no tunnel may have more than an equal share of them. */
  constructor(mostBytes: number) {
    this.#mostBytes = mostBytes;
  }

  /** Counts a change of the bytes that wait in one tunnel. */
  change(beforeBytes: number, afterBytes: number): void {
    this.#bytes += afterBytes - beforeBytes;
    this.#tunnels += Number(afterBytes > 0) - Number(beforeBytes > 0);
  }

  /** Tells whether a tunnel in which so many bytes wait must close its client. */
  isTooMuch(bytes: number): boolean {
    if (bytes > MOST_OF_ONE) return true;
    return this.#bytes > this.#mostBytes && bytes > this.#mostBytes / this.#tunnels;
  }
}

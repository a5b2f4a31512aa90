/** `timeout` parameter of a `Keep-Alive` field: seconds for which the upstream keeps an idle connection. */
const TIMEOUT = /(?:^|[,; \t])timeout\s*=\s*"?(\d{1,6})/i;

/** Time by which a connection is given up before the upstream closes it, unless its time is shorter than twice that. */
const MARGIN_MS = 1000;

/** Decides how long an idle connection may wait. */
export class KeepAliveTime {
  readonly #longestMs: number;
  #field = "";
  #ms: number;

  /** @param longestMs The server's own bound. */
  constructor(longestMs: number) {
    this.#longestMs = longestMs;
    this.#ms = longestMs;
  }

  /** Returns the time for a connection whose last response had this `Keep-Alive` field. `""`: it had none. */
  decide(field: string): number {
    // A server sends the same value each time.
    if (field !== this.#field) {
      this.#field = field;
      this.#ms = Math.min(this.#longestMs, parseKeepAlive(field));
    }
    return this.#ms;
  }
}

function parseKeepAlive(field: string): number {
  const seconds = TIMEOUT.exec(field)?.[1];
  if (seconds === undefined) return Number.POSITIVE_INFINITY;
  const ms = Number(seconds) * 1000;
  return ms - Math.min(MARGIN_MS, ms / 2);
}

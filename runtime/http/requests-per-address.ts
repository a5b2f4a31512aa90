/**
 * Counts the requests in flight of each client address, and tells when one has too many.
 *
 * Requests, not connections: when a connection closes, the library has forgotten its address. With HTTP/1.1 a
 * connection has at most one request in flight, so this is the count of nginx's `limit_conn`: connections that are
 * being served. Idle connections, and those that still send a head, do not count; they last 12 s at most.
 */
export class RequestsPerAddress {
  /** `null`: any number, and requests are not counted. May change: requests that are counted stay so. */
  most: number | null = null;
  /** Only addresses that have any: as many entries as there are requests in flight, at most. */
  readonly #inFlight = new Map<string, number>();

  /**
   * Counts a request until `finished`, also one above the limit.
   *
   * @returns False: the address has more than `most` in flight.
   */
  started(address: string): boolean {
    if (this.most === null) return true;
    const inFlight = (this.#inFlight.get(address) ?? 0) + 1;
    this.#inFlight.set(address, inFlight);
    return inFlight <= this.most;
  }

  finished(address: string): void {
    if (this.#inFlight.size === 0) return;
    const inFlight = (this.#inFlight.get(address) ?? 0) - 1;
    if (inFlight > 0) this.#inFlight.set(address, inFlight);
    else this.#inFlight.delete(address);
  }

  /** Addresses that have requests in flight. */
  get size(): number {
    return this.#inFlight.size;
  }
}

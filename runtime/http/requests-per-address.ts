/**
 * Counts the requests in flight of each client address, and tells when an address has too many.
 *
 * It counts requests, not connections, because the library no longer knows a connection's address when it closes. Over
 * HTTP/1.1 a connection has at most one request in flight, so this equals Nginx's `limit_conn`, which counts
 * connections with a request. Connections that are idle or still send a head do not count. They last 12 s at most.
 */
export class RequestsPerAddress {
  /**
   * Most requests in flight per address; `null`: no limit, and the listener counts no requests. May change at any time.
   * Requests that are counted remain so.
   */
  most: number | null = null;
  /** Requests in flight by address. Has no entry for an address without any. */
  readonly #inFlight = new Map<string, number>();

  /**
   * Counts a request until `finished` is called. Also counts a request above the limit.
   *
   * @returns False: the address has more than `most` requests in flight.
   */
  started(address: string): boolean {
    const inFlight = (this.#inFlight.get(address) ?? 0) + 1;
    this.#inFlight.set(address, inFlight);
    return this.most === null || inFlight <= this.most;
  }

  finished(address: string): void {
    const inFlight = (this.#inFlight.get(address) ?? 0) - 1;
    if (inFlight > 0) this.#inFlight.set(address, inFlight);
    else this.#inFlight.delete(address);
  }

  /** The number of addresses with requests in flight. */
  get size(): number {
    return this.#inFlight.size;
  }
}

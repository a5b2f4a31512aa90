/**
 * Counts the requests in flight of each client address, and says when one has too many.
 *
 * Requests, not connections: of a connection that closes the library no longer knows whose it was. With HTTP/1.1 a
 * connection has one request in flight at most, so this is what nginx's `limit_conn` counts: connections that are being
 * served. Those that are idle or still send a head are not in it; they last 12 s at most.
 */
export class RequestsPerAddress {
  /** May change: what is in flight counts on. */
  most: number;
  /** Only addresses that have any: as many entries as there are requests in flight, at most. */
  readonly #inFlight = new Map<string, number>();

  constructor(most: number) {
    this.most = most;
  }

  /** One more; it counts until `finished`, also if it is too many. False: it is. */
  started(address: string): boolean {
    const inFlight = (this.#inFlight.get(address) ?? 0) + 1;
    this.#inFlight.set(address, inFlight);
    return inFlight <= this.most;
  }

  finished(address: string): void {
    const inFlight = (this.#inFlight.get(address) ?? 0) - 1;
    if (inFlight > 0) this.#inFlight.set(address, inFlight);
    else this.#inFlight.delete(address);
  }

  /** Addresses that have requests in flight. */
  get size(): number {
    return this.#inFlight.size;
  }
}

import { Duplex } from "node:stream";

/** The facts of a client's connection that a socket tells. */
export interface ConnectionFacts {
  remoteAddress: string;
  /** Absolute URL of the request. It gives the port, and tells whether the client uses TLS. */
  url: string;
}

/**
 * One of two sockets that are connected in memory: bytes written to the one are read from the other. It looks like a
 * `net.Socket`.
 *
 *     open ──end() here, end of the other──▶ half closed ──the other end──▶ closed
 *       └────────────────── destroy() here ────────────────────────────────────▲
 *
 * After `destroy()` here, the other one reads its end, and its writes fail.
 */
export class PairedSocket extends Duplex {
  readonly remoteAddress: string;
  readonly remotePort: number | undefined;
  readonly connecting = false;
  readonly pending = false;
  /** As in `tls.TLSSocket`; without TLS the property is missing, as in `net.Socket`. */
  declare readonly encrypted?: true;
  #other: PairedSocket | null = null;
  /** Lets the other one continue to write. */
  #onRead: (() => void) | null = null;

  private constructor({ remoteAddress, url }: ConnectionFacts) {
    super();
    this.remoteAddress = remoteAddress;
    if (/^(https|wss):/.test(url)) this.encrypted = true;
  }

  /** @param facts Of the connection that both seem to be. */
  static createPair(facts: ConnectionFacts): [PairedSocket, PairedSocket] {
    const one = new PairedSocket(facts);
    const other = new PairedSocket(facts);
    one.#other = other;
    other.#other = one;
    return [one, other];
  }

  get remoteFamily(): "IPv4" | "IPv6" {
    return this.remoteAddress.includes(":") ? "IPv6" : "IPv4";
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  /** The primary limits the idle time of connections. */
  setTimeout(): this {
    return this;
  }

  ref(): this {
    return this;
  }

  unref(): this {
    return this;
  }

  override _read(): void {
    const onRead = this.#onRead;
    this.#onRead = null;
    onRead?.();
  }

  override _write(
    chunk: Buffer,
    _encoding: BufferEncoding,
    callback: (error?: Error | null) => void,
  ): void {
    // In a later turn: two parsers that answer each other at once would enter each other.
    process.nextTick(() => {
      const other = this.#other;
      if (other === null || other.destroyed) {
        callback(Object.assign(new Error("write EPIPE"), { code: "EPIPE" }));
        return;
      }
      other.#onRead = callback;
      other.push(chunk);
    });
  }

  override _final(callback: (error?: Error | null) => void): void {
    process.nextTick(() => {
      this.#endOther();
      callback();
    });
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const onRead = this.#onRead;
    this.#onRead = null;
    onRead?.();
    process.nextTick(() => this.#endOther());
    callback(error);
  }

  #endOther(): void {
    const other = this.#other;
    if (other !== null && !other.destroyed && !other.readableEnded) other.push(null);
  }
}

/** Most IPv4 addresses in the cache. A full cache is emptied, which costs less than to evict the oldest entries. */
const REMEMBERED = 4096;

/** Length of the prefix of an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2). */
const MAPPED_PREFIX_BYTES = 12;

/**
 * Formats client addresses. A dual-stack listener sees IPv4 clients as IPv4-mapped IPv6 addresses; this returns their
 * IPv4 form.
 */
export class AddressFormatter {
  readonly #known = new Map<number, string>();

  /**
   * @param address 4 or 16 bytes, most significant first. For any other length (a client that is gone, a Unix socket)
   *   the result is "".
   * @returns IPv4 in dotted decimal, or IPv6 as in RFC 5952.
   */
  format(address: ArrayBuffer): string {
    const bytes = new Uint8Array(address);
    if (bytes.length === 4) return this.#formatV4(bytes, 0);
    if (bytes.length !== 16) return "";
    return isMapped(bytes) ? this.#formatV4(bytes, MAPPED_PREFIX_BYTES) : formatV6(bytes);
  }

  #formatV4(bytes: Uint8Array, at: number): string {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.subarray(at, at + 4);
    const key = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
    let text = this.#known.get(key);
    if (text === undefined) {
      text = `${a}.${b}.${c}.${d}`;
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(key, text);
    }
    return text;
  }
}

/**
 * Returns the client address of a request, in most cases without asking the library.
 *
 * The library returns each address in a new buffer. This costs 2 µs, a sixth of the primary's time for a small request
 * (`npm run bench`, server CPU). Behind a load balancer or Nginx all connections come from one address, so it is enough
 * to ask once per connection.
 */
export class ConnectionAddresses {
  readonly #formatter = new AddressFormatter();
  #open = 0;
  /** The address that all open connections share; `null` once they differ, until all of them have closed. */
  #only: string | null = null;

  /** Must be called when a connection opens. */
  opened(res: AddressSource): void {
    const address = this.#formatter.format(res.getRemoteAddress());
    this.#only = this.#open === 0 || this.#only === address ? address : null;
    this.#open++;
  }

  /** Must be called when a connection closes. The library does not tell its address any more. */
  closed(): void {
    this.#open--;
  }

  /** Returns the address of the client that sent this request. */
  of(res: AddressSource): string {
    return this.#only ?? this.#formatter.format(res.getRemoteAddress());
  }
}

/** A response of uWebSockets.js that is not finished. */
export interface AddressSource {
  getRemoteAddress(): ArrayBuffer;
}

function isMapped(bytes: Uint8Array): boolean {
  for (let at = 0; at < 10; at++) if (bytes[at] !== 0) return false;
  return bytes[10] === 0xff && bytes[11] === 0xff;
}

function formatV6(bytes: Uint8Array): string {
  const groups: string[] = [];
  for (let at = 0; at < 16; at += 2) {
    groups.push((((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0)).toString(16));
  }
  // The URL standard serializes an IPv6 host like RFC 5952: the longest run of zeros as "::", in lower case.
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

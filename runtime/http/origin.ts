const REMEMBERED = 1024;

/** `reg-name`, IPv4 or `[IPv6]`, then perhaps a port (RFC 9110 section 7.2): nothing that a URL parser could misread. */
const HOST = /^(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

/** Makes origins for one scheme out of `Host` fields. Few hosts are asked for many times, so they are remembered. */
export class OriginResolver {
  readonly #scheme: "http" | "https";
  readonly #known = new Map<string, string | null>();

  constructor(scheme: "http" | "https") {
    this.#scheme = scheme;
  }

  /** The origin in the serialization of the URL standard, e.g. `http://example.com`; `null` when `host` names none. */
  resolve(host: string): string | null {
    let origin = this.#known.get(host);
    if (origin === undefined) {
      origin = parseOrigin(this.#scheme, host);
      if (this.#known.size >= REMEMBERED) this.#known.clear();
      this.#known.set(host, origin);
    }
    return origin;
  }
}

function parseOrigin(scheme: string, host: string): string | null {
  if (!HOST.test(host)) return null;
  try {
    return new URL(`${scheme}://${host}`).origin;
  } catch {
    // The URL standard knows more wrong hosts than the pattern: ports above 65535, bad percent-encoding, "a..b" in IPv4.
    return null;
  }
}

/** Enough for thousands of sites, each with several names and ports. */
const REMEMBERED = 16_384;

/** A longer host is no name that DNS can have, with a port, and would only take memory. */
const MOST_CHARACTERS = 260;

/**
 * `reg-name`, IPv4 or `[IPv6]`, with an optional port (RFC 9110 section 7.2). Excludes everything that a URL parser
 * could misread.
 */
const HOST = /^(?:[A-Za-z0-9._~%!$&'()*+,;=-]+|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/;

/** Turns `Host` fields into origins of one scheme. Caches them, since most requests name one of a few hosts. */
export class OriginResolver {
  readonly #scheme: "http" | "https";
  readonly #known = new Map<string, string | null>();

  constructor(scheme: "http" | "https") {
    this.#scheme = scheme;
  }

  /** Returns the origin as the URL standard serializes it, e.g. `http://example.com`; `null`: `host` is invalid. */
  resolve(host: string): string | null {
    let origin = this.#known.get(host);
    if (origin === undefined) {
      origin = parseOrigin(this.#scheme, host);
      if (host.length > MOST_CHARACTERS) return origin;
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
    // The URL standard refuses more hosts than the pattern: ports above 65535, bad percent-encoding, "a..b" in IPv4.
    return null;
  }
}

/** Origins whose values are remembered. A request costs one look into a map then. */
const REMEMBERED = 16_384;

/** A longer origin has no name that DNS can have, and would only take memory. */
const MOST_CHARACTERS = 270;

export interface HostTableOptions<Value> {
  /** Host names as `toHostName` returns them, each in one entry only. */
  entries: readonly { readonly hosts: readonly string[]; readonly value: Value }[];
  /** For all hosts that no entry has. */
  otherwise: Value;
}

/**
 * Finds the value of a host: of the entry that names it, else of the entry that has `*` in the place of its first label, else
 * the value for all others.
 *
 * Its entries never change: a reload makes a new table.
 */
export class HostTable<Value> {
  /** The value of all hosts; `null`: there are several, and `find` decides. */
  readonly only: Value | null;
  readonly #otherwise: Value;
  readonly #exact = new Map<string, Value>();
  /** By the part after `*.`. */
  readonly #wild = new Map<string, Value>();
  /** By origin, as requests had it. */
  readonly #known = new Map<string, Value>();

  constructor({ entries, otherwise }: HostTableOptions<Value>) {
    this.#otherwise = otherwise;
    for (const { hosts, value } of entries) {
      for (const host of hosts) {
        if (host.startsWith("*.")) this.#wild.set(host.slice(2), value);
        else this.#exact.set(host, value);
      }
    }
    this.only = this.#exact.size + this.#wild.size === 0 ? otherwise : null;
  }

  /** @param origin Scheme, host and port, as `OriginResolver` returns them: `https://example.com:8443`. */
  find(origin: string): Value {
    return this.#known.get(origin) ?? this.#remember(origin);
  }

  /** @param host As `hostOf` returns it. */
  findHost(host: string): Value {
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    const dot = host.indexOf(".");
    const wild = dot > 0 ? this.#wild.get(host.slice(dot + 1)) : undefined;
    return wild ?? this.#otherwise;
  }

  #remember(origin: string): Value {
    const value = this.findHost(hostOf(origin));
    if (origin.length > MOST_CHARACTERS) return value;
    // Clients choose the origins: a client that sends ever new ones costs a look-up each, and no memory.
    if (this.#known.size >= REMEMBERED) this.#known.clear();
    this.#known.set(origin, value);
    return value;
  }
}

/** Returns the host of an origin without the port and a final dot: `example.com`, `[::1]`. */
export function hostOf(origin: string): string {
  const authority = origin.slice(origin.indexOf("//") + 2);
  // A colon inside of brackets belongs to an IPv6 address.
  const host = authority.replace(/:\d+$/, "");
  return host.endsWith(".") ? host.slice(0, -1) : host;
}

/**
 * What refuses a request or cuts it off, each by the name of the setting that says when. Three have another name:
 * `malformed` is a head or a target that is no HTTP, `bodyRoom` that bodies take all the memory that is set aside for
 * them, or all of `spoolLimit`, `bodyDisk` a disk that is full or fails.
 */
export const LIMIT_NAMES = [
  "malformed",
  "maxConnections",
  "maxRequests",
  "maxRequestsPerAddress",
  "headerLimit",
  "headerCountLimit",
  "urlLimit",
  "bodyLimit",
  "bodyRoom",
  "bodyDisk",
  "queueLimit",
  "queueDelay",
  "queueTimeout",
  "requestTimeout",
  "quarantine",
  "bodyTimeout",
  "minBodyRate",
  "sendTimeout",
  "drainGrace",
] as const;

export type LimitName = (typeof LIMIT_NAMES)[number];

/**
 * What a primary counts, from its start: one object for all its listeners and dispatchers, plain integers that whoever
 * counts adds to in place. Nothing here is ever reset; rates are the reader's to make.
 */
export class Counters {
  /** `open` is what `maxConnections` is compared with. */
  readonly connections = { open: 0, accepted: 0 };
  /** Heads that were read, also those that were refused. */
  requests = 0;
  /** Requests that a dispatcher has taken on and not settled. */
  admitted = 0;
  /** Answers by the first digit of their status. */
  readonly #byClass = [0, 0, 0, 0, 0, 0];
  /** Requests whose client left before its answer was complete. */
  #left = 0;
  /** How often each limit refused something or cut it off. */
  readonly limits: Record<LimitName, number> = Object.fromEntries(
    LIMIT_NAMES.map((name) => [name, 0]),
  ) as Record<LimitName, number>;

  /** A limit has refused a request, or cut it off, and its access line shall say so. */
  limit(name: LimitName, request: { limit: LimitName | null }): void {
    this.limits[name]++;
    request.limit = name;
  }

  /** A request is over: answered, its client left (499, which no client ever sees), or its answer broke off (502). */
  finished(status: number): void {
    if (status === 499) this.#left++;
    else {
      const digit = Math.trunc(status / 100);
      this.#byClass[digit] = (this.#byClass[digit] ?? 0) + 1;
    }
  }

  /** All of it as plain data. */
  snapshot(load: { queued: number; inFlight: number }): Traffic {
    const [, , success = 0, redirect = 0, client = 0, server = 0] = this.#byClass;
    const finished = success + redirect + client + server + this.#left;
    return {
      connections: { ...this.connections },
      requests: { received: this.requests, open: this.requests - finished, ...load },
      responses: {
        "2xx": success,
        "3xx": redirect,
        "4xx": client,
        "5xx": server,
        clientLeft: this.#left,
      },
      limits: { ...this.limits },
    };
  }
}

/** What has gone through a primary since it started, and what is in it now. */
export interface Traffic {
  connections: { open: number; accepted: number };
  requests: {
    received: number;
    /** Neither answered completely nor left by their clients. */
    open: number;
    /** Of those, the ones that wait for a worker, and the ones that workers have. */
    queued: number;
    inFlight: number;
  };
  responses: Record<"2xx" | "3xx" | "4xx" | "5xx" | "clientLeft", number>;
  /** How often each limit refused something or cut it off. */
  limits: Record<LimitName, number>;
}

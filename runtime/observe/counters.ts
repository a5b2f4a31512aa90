import { CACHE_RESULTS, type CacheResult } from "../http/cache-result.ts";
import { LIMIT_NAMES, type LimitName } from "../http/limit-names.ts";
import { Histogram } from "./histogram.ts";
import { Meters, PoolMeter } from "./pool-meters.ts";
import { RecentFailures } from "./recent-failures.ts";
import { ReloadMeter } from "./reload-meter.ts";
import { RequestMeters } from "./request-meters.ts";
import { ServerEvents } from "./server-events.ts";

/**
 * Counters of a primary since its start. All of its listeners and dispatchers share them. They are plain integers,
 * incremented in place and never reset; readers compute rates.
 */
export class Counters {
  /** Connections; `maxConnections` limits `open`. */
  readonly connections = { open: 0, accepted: 0 };
  /** The same by scheme. */
  readonly schemes = { http: { open: 0, accepted: 0 }, https: { open: 0, accepted: 0 } };
  /** Bytes of request bodies that were read. */
  receivedBodyBytes = 0;
  /** Finished requests by site, route, method and result. */
  readonly finishedRequests: RequestMeters = new RequestMeters();
  /** Workers, queues and channels, by name of the pool. */
  readonly pools: Meters<PoolMeter> = new Meters(() => new PoolMeter());
  /** Time from a request to the head of the response of an upstream server, by group. */
  readonly upstreams: Meters<Histogram> = new Meters(() => new Histogram());
  readonly reloads: ReloadMeter = new ReloadMeter();
  /** The newest requests that failed, and their reasons. */
  readonly failures: RecentFailures = new RecentFailures();
  readonly events: ServerEvents = new ServerEvents();
  /** Number of heads that were read, including refused ones. */
  requests = 0;
  /** Number of requests that a dispatcher admitted and has not settled. */
  admitted = 0;
  /** Number of requests that the site answered in place of a handler that failed. */
  passedOn = 0;
  /** Number of answers by the first digit of their status. */
  readonly #byClass = [0, 0, 0, 0, 0, 0];
  /** Number of requests whose client left before its answer was complete. */
  #left = 0;
  /** How often each limit refused a request or cut one off. */
  readonly limits: Record<LimitName, number> = Object.fromEntries(
    LIMIT_NAMES.map((name) => [name, 0]),
  ) as Record<LimitName, number>;

  /** Number of requests by the result of the response cache. */
  readonly cached: Record<CacheResult, number> = Object.fromEntries(
    CACHE_RESULTS.map((result) => [result, 0]),
  ) as Record<CacheResult, number>;

  /** Counts a request that a limit refused or cut off, and stores the limit for its access line. */
  limit(name: LimitName, request: { limitedBy: LimitName | null }): void {
    this.limits[name]++;
    request.limitedBy = name;
  }

  /** Counts a finished request: answered, left by its client (499, never sent to a client), or broken off (502). */
  finished(status: number): void {
    if (status === 499) this.#left++;
    else {
      const digit = Math.trunc(status / 100);
      this.#byClass[digit] = (this.#byClass[digit] ?? 0) + 1;
    }
  }

  /** Returns all counters as plain data. */
  snapshot(load: { queued: number; inFlight: number }): Traffic {
    const [, switched = 0, success = 0, redirect = 0, client = 0, server = 0] = this.#byClass;
    const finished = switched + success + redirect + client + server + this.#left;
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

/** A primary's traffic since it started, and its requests now. */
export interface Traffic {
  connections: { open: number; accepted: number };
  requests: {
    received: number;
    /** Requests without a complete answer whose client has not left. */
    open: number;
    /** Open requests that wait for a worker (`queued`) and those that workers have (`inFlight`). */
    queued: number;
    inFlight: number;
  };
  responses: Record<"2xx" | "3xx" | "4xx" | "5xx" | "clientLeft", number>;
  /** How often each limit refused a request or cut one off. */
  limits: Record<LimitName, number>;
}

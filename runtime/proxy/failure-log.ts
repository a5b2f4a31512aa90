import type { Logger } from "../log/log.ts";

/** Interval of the log lines about one server after the first: each request may fail. */
const EVERY_MS = 10_000;

/** A failure at an upstream server, for the log. */
export interface LoggedFailure {
  /** The server, as the config names it. */
  upstream: string;
  /** The point in the exchange: `connect`, `first-byte` ... */
  phase: string;
  reason: string;
  /** Method and path of a request, without its query. */
  method: string;
  path: string;
  requestId: string;
  /** Status for the client; `null`: the request goes to another server. */
  status: number | null;
}

/** Logs failures at upstream servers: the first of a server at once, then one line per interval with their number. */
export class FailureLog {
  readonly #log: Logger;
  /** By server. */
  readonly #pending = new Map<string, { failures: number; last: LoggedFailure }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Counts a failure of a request. */
  note(failure: LoggedFailure): void {
    this.#log.debug(failure, "request failed at an upstream");
    const pending = this.#pending.get(failure.upstream);
    if (pending === undefined) this.#write(1, failure);
    else this.#pending.set(failure.upstream, { failures: pending.failures + 1, last: failure });
  }

  #write(failures: number, last: LoggedFailure): void {
    this.#log.warn({ ...last, failures }, "requests failed at an upstream");
    this.#pending.set(last.upstream, { failures: 0, last });
    setTimeout(() => {
      const pending = this.#pending.get(last.upstream);
      this.#pending.delete(last.upstream);
      if (pending !== undefined && pending.failures > 0)
        this.#write(pending.failures, pending.last);
    }, EVERY_MS).unref();
  }
}

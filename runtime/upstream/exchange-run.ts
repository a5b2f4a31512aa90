import type {
  ExchangeEvents,
  UpstreamExchange,
  UpstreamFailure,
  UpstreamRequest,
  UpstreamTimeouts,
} from "./exchange.ts";

/** The connection of an exchange, as the exchange sees it. */
export interface ExchangeConnection {
  /** Everything that was written has been handed to the system. */
  readonly isFlushed: boolean;
  /** Copies and writes a piece of the body. Returns false if the caller has to wait for `onDrain`. */
  writePiece(bytes: Uint8Array, options: { asChunk: boolean }): boolean;
  writeLastChunk(): void;
  pause(): void;
  resume(): void;
  /** Ends the exchange without a further event. */
  drop(): void;
  /** Ends the exchange with a failure. */
  fail(reason: string): void;
}

/** One request on a connection. Once it is over, its methods have no effect. */
export class ExchangeRun implements UpstreamExchange {
  readonly events: ExchangeEvents;
  readonly timeouts: UpstreamTimeouts;
  /** `null`: the exchange is over. */
  #connection: ExchangeConnection | null;
  /** Bytes of the body that must still follow; `null`: any number, in chunks. */
  #left: number | null;
  #isEnded: boolean;
  #wasSent = false;
  #waitsForDrain = false;

  constructor(
    request: UpstreamRequest,
    options: {
      events: ExchangeEvents;
      timeouts: UpstreamTimeouts;
      connection: ExchangeConnection | null;
    },
  ) {
    this.events = options.events;
    this.timeouts = options.timeouts;
    this.#connection = options.connection;
    this.#isEnded = request.body !== "follows";
    this.#left = request.bodyBytes;
  }

  /** The caller has given the whole request. */
  get isEnded(): boolean {
    return this.#isEnded;
  }

  get isRequestSent(): boolean {
    if (this.#connection === null) return this.#wasSent;
    return this.#isEnded && this.#connection.isFlushed;
  }

  write(bytes: Uint8Array): boolean {
    const connection = this.#connection;
    if (connection === null || this.#isEnded || bytes.length === 0) return !this.#waitsForDrain;
    if (this.#left !== null) {
      this.#left -= bytes.length;
      if (this.#left < 0) {
        this.#failSoon("the body of the request is longer than announced");
        return true;
      }
    }
    this.#waitsForDrain = !connection.writePiece(bytes, { asChunk: this.#left === null });
    return !this.#waitsForDrain;
  }

  end(): void {
    const connection = this.#connection;
    if (connection === null || this.#isEnded) return;
    if (this.#left !== null && this.#left > 0) {
      this.#failSoon("the body of the request is shorter than announced");
      return;
    }
    this.#isEnded = true;
    if (this.#left === null) connection.writeLastChunk();
  }

  /** Fails after the call of the caller, which expects no event within it. */
  #failSoon(reason: string): void {
    this.#isEnded = true;
    setImmediate(() => this.#connection?.fail(reason));
  }

  pause(): void {
    this.#connection?.pause();
  }

  resume(): void {
    this.#connection?.resume();
  }

  abort(): void {
    this.#connection?.drop();
  }

  /** Tells the caller that the connection takes bytes again, if the caller waits for that. */
  drain(): void {
    if (!this.#waitsForDrain) return;
    this.#waitsForDrain = false;
    this.events.onDrain();
  }

  /** Leaves the connection. Must be called before the last event. */
  leave(): void {
    this.#wasSent = this.isRequestSent;
    this.#connection = null;
  }
}

/** Returns an exchange that fails in the next turn of the event loop, without a connection. */
export function failLater(
  request: UpstreamRequest,
  options: { events: ExchangeEvents; timeouts: UpstreamTimeouts; reason: string },
): UpstreamExchange {
  const failure: UpstreamFailure = {
    phase: "connect",
    reason: options.reason,
    code: null,
    sent: false,
    begun: false,
    reused: false,
    timedOut: false,
  };
  const run = new ExchangeRun(request, { ...options, connection: null });
  let isAborted = false;
  setImmediate(() => {
    if (!isAborted) options.events.onFailed(failure);
  });
  run.abort = () => {
    isAborted = true;
  };
  return run;
}

import { type Answer, Connection, type Endpoint } from "./connection.ts";

/** One kind of connections to a server. */
export interface Way {
  readonly endpoint: Endpoint;
  /** Each request has a connection of its own; otherwise connections are kept alive. */
  readonly fresh: boolean;
  /** How many connections are open before the first request, and whenever one of them ended. */
  readonly ready: number;
  /** Most connections at a time. Further requests wait for one. */
  readonly most: number;
}

/** The end of one request. Its latency is `durationMs`. */
export type Sample = {
  /** `performance.now()` when the request was due. */
  readonly dueMs: number;
  readonly durationMs: number;
} & ({ readonly answer: Answer } | { readonly answer: null; readonly failure: string });

export interface OpenLoopOptions {
  /** The requests take these by turns. */
  readonly ways: readonly [Way, ...Way[]];
  /** Rate over all ways. */
  readonly perSecond: number;
  /** While so many requests are unanswered, no further ones are sent when they are due. Default: any number. */
  readonly mostUnanswered?: number;
  /** Returns the bytes of a request, by its number. The first number is 0. */
  readonly request: (number: number) => Uint8Array | string;
  /** Called once for each request. */
  readonly onSample: (sample: Sample, number: number) => void;
  /** Called when the server closed a connection that it should have kept, or when no connection could be opened. */
  readonly onLost?: (reason: string) => void;
}

/**
 * Sends requests at a steady rate, whether answers come or not. Drill, soaks and end-to-end tests share it.
 *
 * A load generator that waits for answers before it sends more slows down with the server, and never overloads it. A
 * latency counts from the time at which the request was due if it had to wait for a connection, so that a stalled
 * server does not look better than it is. It counts from the time of sending otherwise, so that a late timer of this
 * process does not make the server look worse.
 */
export class OpenLoop {
  readonly #options: OpenLoopOptions;
  readonly #pools: readonly Pool[];
  #timer: NodeJS.Timeout | null = null;
  #startMs = 0;
  #sent = 0;

  private constructor(options: OpenLoopOptions) {
    this.#options = options;
    this.#pools = options.ways.map((way) => new Pool(way, options));
  }

  /** Opens the connections that shall be ready, and begins to send. */
  static async start(options: OpenLoopOptions): Promise<OpenLoop> {
    const loop = new OpenLoop(options);
    await Promise.all(loop.#pools.map((pool) => pool.fill()));
    loop.#startMs = performance.now();
    loop.#tick();
    return loop;
  }

  /**
   * Stops sending, waits for the last answers, and closes the connections. Requests that still wait for a busy connection
   * are dropped without a sample.
   */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearTimeout(this.#timer);
    await Promise.all(this.#pools.map((pool) => pool.close()));
  }

  get #unanswered(): number {
    return this.#pools.reduce((sum, { unsettled }) => sum + unsettled, 0);
  }

  #tick(): void {
    const { perSecond, mostUnanswered = Infinity } = this.#options;
    const nowMs = performance.now();
    const dueMs = (number: number): number => this.#startMs + (number * 1000) / perSecond;
    for (; dueMs(this.#sent) <= nowMs; this.#sent++) {
      if (this.#unanswered >= mostUnanswered) continue;
      const pool = this.#pools[this.#sent % this.#pools.length];
      pool?.send({ number: this.#sent, dueMs: dueMs(this.#sent) });
    }
    this.#timer = setTimeout(() => this.#tick(), dueMs(this.#sent) - nowMs);
  }
}

interface Due {
  readonly number: number;
  readonly dueMs: number;
}

/** The connections of one way. */
class Pool {
  readonly #way: Way;
  readonly #options: OpenLoopOptions;
  /** The connection that has been idle for longest is first. */
  readonly #idle: Connection[] = [];
  readonly #waiting: Due[] = [];
  /** Connections that are open or being opened. */
  #open = 0;
  #opening = 0;
  /** Requests that were due and have not ended. */
  #unsettled = 0;
  #onSettled: () => void = () => {};
  #isOver = false;

  constructor(way: Way, options: OpenLoopOptions) {
    this.#way = way;
    this.#options = options;
  }

  /** Number of requests that were due and have not ended. */
  get unsettled(): number {
    return this.#unsettled;
  }

  /** Opens connections until enough are ready. */
  async fill(): Promise<void> {
    const missing = Math.max(0, this.#way.ready - this.#open);
    await Promise.all(Array.from({ length: missing }, () => this.#openOne()));
  }

  send(due: Due): void {
    this.#unsettled++;
    const connection = this.#idle.shift();
    if (connection !== undefined) {
      void this.#exchange(connection, due, performance.now());
      return;
    }
    this.#waiting.push(due);
    if (this.#opening < this.#waiting.length && this.#open < this.#way.most) void this.#openOne();
  }

  async close(): Promise<void> {
    // Each connection that is being opened is for one of the first requests that wait.
    this.#unsettled -= this.#waiting.splice(this.#opening).length;
    await new Promise<void>((resolve) => {
      this.#onSettled = resolve;
      if (this.#unsettled === 0) resolve();
    });
    this.#isOver = true;
    for (const { socket } of this.#idle) socket.destroy();
  }

  async #openOne(): Promise<void> {
    this.#open++;
    this.#opening++;
    try {
      const connection = await Connection.open(this.#way.endpoint).finally(() => this.#opening--);
      connection.socket.once("close", () => this.#onClose(connection));
      this.#release(connection);
    } catch (error) {
      this.#open--;
      this.#failOne(toReason(error));
    }
  }

  #release(connection: Connection): void {
    const due = this.#waiting.shift();
    if (due !== undefined) void this.#exchange(connection, due, due.dueMs);
    else if (this.#isOver) connection.socket.destroy();
    else this.#idle.push(connection);
  }

  async #exchange(connection: Connection, { number, dueMs }: Due, startMs: number): Promise<void> {
    let result: { answer: Answer } | { answer: null; failure: string };
    try {
      result = { answer: await connection.ask(this.#options.request(number)) };
    } catch (error) {
      result = { answer: null, failure: toReason(error) };
    }
    this.#settle({ dueMs, durationMs: performance.now() - startMs, ...result }, number);
    const ends = result.answer === null || result.answer.fields.get("connection") === "close";
    if (this.#way.fresh || ends) connection.socket.destroy();
    else if (!connection.closed) this.#release(connection);
  }

  #onClose(connection: Connection): void {
    this.#open--;
    if (this.#isOver) return;
    const at = this.#idle.indexOf(connection);
    if (at !== -1) this.#idle.splice(at, 1);
    if (at !== -1 || !this.#way.fresh) this.#options.onLost?.("the server closed a connection");
    if (this.#waiting.length > this.#opening) void this.#openOne();
    else void this.fill();
  }

  /** Fails the first request that waits. If none waits, only the connection is lost. */
  #failOne(failure: string): void {
    const due = this.#waiting.shift();
    if (due === undefined) {
      this.#options.onLost?.(failure);
      return;
    }
    const { dueMs, number } = due;
    this.#settle({ dueMs, durationMs: performance.now() - dueMs, answer: null, failure }, number);
  }

  #settle(sample: Sample, number: number): void {
    this.#options.onSample(sample, number);
    if (--this.#unsettled === 0) this.#onSettled();
  }
}

function toReason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

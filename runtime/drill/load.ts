import {
  Agent as HttpAgent,
  type ClientRequest,
  type IncomingMessage,
  type RequestOptions,
  request as requestHttp,
} from "node:http";
import { Agent as HttpsAgent, request as requestHttps } from "node:https";
import type { Socket } from "node:net";
import type { Seen } from "./judge.ts";

export interface LoadOptions {
  readonly ports: { readonly http: number; readonly https: number };
  /** Path of the GETs. */
  readonly path: string;
  /** Rate over all kinds of connections. */
  readonly perSecond: number;
  /** The status of the path when all is well. */
  readonly status: number;
}

/** Longer than any request waits for a worker. */
const LOST_MS = 15_000;

/** Kept-alive connections of each scheme. */
const KEPT = 4;

/** Most failures that are described. */
const MOST_FAILURES = 3;

const TICK_MS = 5;

/** A way to the server: a kept-alive connection, or a new connection for each request. */
interface Way {
  readonly send: typeof sendPlain;
  readonly port: number;
  /** At most one connection, for one request after another; `false`: a new one for each. */
  readonly agent: HttpAgent | false;
}

/**
 * Clients that send requests at a steady rate, whether answers come or not: half of them over TLS, half on kept-alive
 * connections. A latency counts from the time at which its request was due, so that a stalled server does not look
 * better than it is.
 */
export class Load {
  readonly #options: LoadOptions;
  readonly #ways: readonly Way[];
  readonly #latenciesMs: number[] = [];
  readonly #failures: string[] = [];
  readonly #watched = new WeakSet<Socket>();
  readonly #timer: NodeJS.Timeout;
  readonly #startMs = performance.now();
  readonly #inFlight = new Set<Promise<void>>();
  #requests = 0;
  #failed = 0;
  #refused = 0;
  #closed = 0;
  #isOver = false;

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#ways = toWays(options.ports);
    this.#timer = setInterval(() => this.#sendDue(), TICK_MS);
  }

  /** Stops sending, waits for the last answers, closes the connections and returns the clients' view. Call it once. */
  async stop(): Promise<Seen> {
    clearInterval(this.#timer);
    await Promise.all(this.#inFlight);
    this.#isOver = true;
    for (const { agent } of this.#ways) if (agent !== false) agent.destroy();
    const sorted = this.#latenciesMs.toSorted((a, b) => a - b);
    return {
      requests: this.#requests,
      failed: this.#failed,
      refused: this.#refused,
      closed: this.#closed,
      p50Ms: percentileOf(sorted, 0.5),
      p99Ms: percentileOf(sorted, 0.99),
      failures: this.#failures,
    };
  }

  #sendDue(): void {
    const { perSecond } = this.#options;
    const due = Math.floor(((performance.now() - this.#startMs) * perSecond) / 1000);
    while (this.#requests < due) {
      const dueMs = this.#startMs + (this.#requests * 1000) / perSecond;
      const way = this.#ways[this.#requests % this.#ways.length];
      this.#requests++;
      if (way === undefined) return;
      const done = this.#send(way, dueMs).finally(() => this.#inFlight.delete(done));
      this.#inFlight.add(done);
    }
  }

  async #send(way: Way, dueMs: number): Promise<void> {
    try {
      const status = await this.#get(way);
      this.#latenciesMs.push(performance.now() - dueMs);
      if (status === 503 && this.#options.status !== 503) this.#refused++;
      else if (status !== this.#options.status) this.#fail(`status ${status}`);
    } catch (error) {
      this.#fail(error instanceof Error ? error.message : String(error));
    }
  }

  #fail(how: string): void {
    this.#failed++;
    if (this.#failures.length < MOST_FAILURES) this.#failures.push(how);
  }

  /** Resolves with the status after the whole answer. */
  #get({ send, port, agent }: Way): Promise<number> {
    return new Promise((resolve, reject) => {
      const asking = send(
        {
          host: "127.0.0.1",
          port,
          path: this.#options.path,
          agent,
          headers: { host: `localhost:${port}` },
        },
        (response: IncomingMessage) => {
          response.resume();
          response.once("error", reject);
          response.once("end", () => resolve(response.statusCode ?? 0));
        },
      );
      const timer = setTimeout(
        () => asking.destroy(new Error(`no answer within ${LOST_MS} ms`)),
        LOST_MS,
      );
      asking.once("close", () => {
        clearTimeout(timer);
        // After a whole answer this changes nothing.
        reject(new Error("the connection ended before the answer did"));
      });
      asking.on("error", reject);
      if (agent !== false) asking.once("socket", (socket) => this.#watch(socket));
      asking.end();
    });
  }

  /** Counts a kept-alive connection that closes before the load ends. */
  #watch(socket: Socket): void {
    if (this.#watched.has(socket)) return;
    this.#watched.add(socket);
    socket.once("close", () => {
      if (!this.#isOver) this.#closed++;
    });
  }
}

function toWays({ http, https }: LoadOptions["ports"]): Way[] {
  const kept = { keepAlive: true, maxSockets: 1 };
  return Array.from({ length: KEPT }, () => [
    { send: sendPlain, port: http, agent: new HttpAgent(kept) },
    { send: sendSecure, port: https, agent: new HttpsAgent({ ...kept, ...TLS }) },
    { send: sendPlain, port: http, agent: false as const },
    { send: sendSecure, port: https, agent: false as const },
  ]).flat();
}

/** The certificate was made for the drill. */
const TLS = { rejectUnauthorized: false, servername: "localhost" } as const;

function sendPlain(options: RequestOptions, onResponse: OnResponse): ClientRequest {
  return requestHttp(options, onResponse);
}

function sendSecure(options: RequestOptions, onResponse: OnResponse): ClientRequest {
  return requestHttps({ ...options, ...TLS }, onResponse);
}

type OnResponse = (response: IncomingMessage) => void;

/** Returns the percentile by nearest rank; 0 for no values. */
function percentileOf(sorted: readonly number[], part: number): number {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? 0;
}

import { connect, type Socket } from "node:net";

/** One answered request. */
export interface Sample {
  /** `performance.now()` when it was due. Its latency counts from there, even if it was sent later. */
  dueMs: number;
  durationMs: number;
  status: number;
  /** Whether the answer has `Retry-After`. */
  retryAfter: boolean;
}

export interface OpenLoopOptions {
  port: number;
  path: string;
  perSecond: number;
  durationMs: number;
  /** Further requests are not sent, but counted. */
  maxConnections: number;
}

export interface OpenLoopResult {
  samples: Sample[];
  /** Requests that were due while every connection was busy. */
  unsent: number;
  /** Requests whose connection ended before the answer. */
  failed: number;
}

/**
 * Sends GET requests at a steady rate, however slowly they are answered, each on a kept-alive connection.
 *
 * A load generator that waits for answers before it sends more slows down with the server, and never overloads it.
 */
export async function runOpenLoop(options: OpenLoopOptions): Promise<OpenLoopResult> {
  const { port, path, perSecond, durationMs, maxConnections } = options;
  const head = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`;
  const result: OpenLoopResult = { samples: [], unsent: 0, failed: 0 };
  const idle: Client[] = [];
  const clients = new Set<Client>();
  const startedMs = performance.now();
  const onEnd = (client: Client, failed: boolean): void => {
    clients.delete(client);
    if (failed) result.failed++;
  };
  const onAnswer = (client: Client, sample: Sample): void => {
    result.samples.push(sample);
    idle.push(client);
  };
  let sent = 0;
  await new Promise<void>((resolve) => {
    const tick = (): void => {
      const elapsedMs = performance.now() - startedMs;
      const due = Math.floor((Math.min(elapsedMs, durationMs) * perSecond) / 1000);
      for (; sent < due; sent++) {
        const dueMs = startedMs + (sent * 1000) / perSecond;
        let client = idle.pop();
        while (client?.closed === true) client = idle.pop();
        if (client === undefined && clients.size < maxConnections) {
          client = new Client(port, { onAnswer, onEnd });
          clients.add(client);
        }
        if (client === undefined) result.unsent++;
        else client.send(head, dueMs);
      }
      if (elapsedMs < durationMs) setTimeout(tick, 1);
      else resolve();
    };
    tick();
  });
  // Open requests get the longest time that a server lets any request wait.
  const endMs = performance.now() + 30_000;
  while ([...clients].some(({ waiting }) => waiting) && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  for (const client of clients) client.close();
  return result;
}

interface Listeners {
  onAnswer: (client: Client, sample: Sample) => void;
  onEnd: (client: Client, failed: boolean) => void;
}

/** A connection with at most one request on it. */
class Client {
  readonly #socket: Socket;
  readonly #listeners: Listeners;
  #received = "";
  #dueMs: number | null = null;
  closed = false;

  constructor(port: number, listeners: Listeners) {
    this.#listeners = listeners;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text: string) => this.#take(text));
    // "close" reports the end as well.
    this.#socket.on("error", () => {});
    this.#socket.once("close", () => {
      this.closed = true;
      listeners.onEnd(this, this.#dueMs !== null);
      this.#dueMs = null;
    });
  }

  get waiting(): boolean {
    return this.#dueMs !== null;
  }

  send(head: string, dueMs: number): void {
    this.#dueMs = dueMs;
    this.#received = "";
    this.#socket.write(head);
  }

  close(): void {
    this.#dueMs = null;
    this.#socket.destroy();
  }

  #take(text: string): void {
    this.#received += text;
    const end = this.#received.indexOf("\r\n\r\n");
    if (end === -1 || this.#dueMs === null) return;
    const fields = this.#received.slice(0, end).toLowerCase();
    const [, length = "0"] = /\r\ncontent-length: (\d+)/.exec(fields) ?? [];
    if (this.#received.length < end + 4 + Number(length)) return;
    const dueMs = this.#dueMs;
    this.#dueMs = null;
    this.#listeners.onAnswer(this, {
      dueMs,
      durationMs: performance.now() - dueMs,
      status: Number(this.#received.slice(9, 12)),
      retryAfter: fields.includes("\r\nretry-after:"),
    });
  }
}

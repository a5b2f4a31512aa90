import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { percentileOf } from "../../runtime/drill/latencies.ts";
import { createKey, toAccept } from "../../runtime/http/web-socket-handshake.ts";
import type { LoadReport } from "../bench/load.ts";
import { FrameCounter, toTextFrame } from "./frame-counter.ts";

export interface WebSocketsTask {
  readonly url: string;
  /**
   * `echo`: each client sends a message, and the next one once it came back. `broadcast`: one client sends a message that all
   * get, and the next client sends one once all have it.
   */
  readonly mode: "echo" | "broadcast";
  readonly clients: number;
  readonly warmUpSeconds: number;
  readonly seconds: number;
}

/** Handshakes at a time: more would fill the server's accept queue. */
const BATCH = 50;

/** Each message: the size of a line of a chat. */
const MESSAGE = toTextFrame("x".repeat(64));

/**
 * Loads a server with messages over many WebSockets.
 *
 * Rate and latencies cover the time after the warm-up. The count covers all messages that the clients got, because the
 * server's processor time is known for that whole time only. The latency of a broadcast ends with the last client.
 */
export async function loadWebSockets(task: WebSocketsTask): Promise<LoadReport> {
  const { url, clients, mode, warmUpSeconds, seconds } = task;
  const load = new Load(mode);
  while (load.size < clients) {
    const count = Math.min(BATCH, clients - load.size);
    for (const opened of await Promise.all(Array.from({ length: count }, () => open(url))))
      load.add(opened);
  }
  load.begin();
  await delay(warmUpSeconds * 1000);
  load.isMeasuring = true;
  const before = load.count;
  const startedAt = performance.now();
  await delay(seconds * 1000);
  const rate = ((load.count - before) * 1000) / (performance.now() - startedAt);
  const latencies = load.latencies.toSorted((a, b) => a - b);
  const [p50Us, p99Us] = [percentileOf(latencies, 0.5), percentileOf(latencies, 0.99)];
  const report = { count: load.count, rate, p50Us, p99Us, badStatuses: 0, socketErrors: load.lost };
  load.end();
  return report;
}

class Load {
  count = 0;
  lost = 0;
  isMeasuring = false;
  /** In microseconds, of the messages after the warm-up. */
  readonly latencies: number[] = [];
  readonly #mode: WebSocketsTask["mode"];
  readonly #sockets: Socket[] = [];
  #sender = 0;
  /** Messages of the present broadcast that have not come. */
  #missing = 0;
  #sentAtMs = 0;
  #hasEnded = false;

  constructor(mode: WebSocketsTask["mode"]) {
    this.#mode = mode;
  }

  get size(): number {
    return this.#sockets.length;
  }

  add({ socket, first }: Opened): void {
    this.#sockets.push(socket);
    const frames = new FrameCounter();
    let sentAtMs = 0;
    const onBytes = (bytes: Buffer): void => {
      const count = frames.count(bytes);
      this.count += count;
      if (frames.hasClosed) socket.destroy();
      else if (this.#mode === "broadcast") this.#onBroadcast(count);
      else if (count > 0) {
        this.#note(sentAtMs);
        sentAtMs = performance.now();
        socket.write(MESSAGE);
      }
    };
    const begin = (): void => {
      sentAtMs = performance.now();
      socket.write(MESSAGE);
    };
    socket.on("data", onBytes);
    socket.on("error", () => {});
    socket.once("close", () => {
      if (!this.#hasEnded) this.lost++;
    });
    if (this.#mode === "echo") this.#begins.push(begin);
    if (first.length > 0) onBytes(first);
  }

  readonly #begins: (() => void)[] = [];

  begin(): void {
    if (this.#mode === "broadcast") this.#broadcast();
    else for (const begin of this.#begins) begin();
  }

  end(): void {
    this.#hasEnded = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  #onBroadcast(count: number): void {
    this.#missing -= count;
    if (count === 0 || this.#missing > 0) return;
    this.#note(this.#sentAtMs);
    this.#broadcast();
  }

  #broadcast(): void {
    this.#missing = this.#sockets.length;
    this.#sender = (this.#sender + 1) % this.#sockets.length;
    this.#sentAtMs = performance.now();
    this.#sockets[this.#sender]?.write(MESSAGE);
  }

  #note(sentAtMs: number): void {
    if (this.isMeasuring) this.latencies.push((performance.now() - sentAtMs) * 1000);
  }
}

interface Opened {
  readonly socket: Socket;
  /** Bytes behind the answer. */
  readonly first: Buffer;
}

/** @throws Error if the server answers with another status than 101, or with a wrong key. */
async function open(url: string): Promise<Opened> {
  const { hostname, port, pathname, host } = new URL(url);
  const socket = connect({ host: hostname, port: Number(port), noDelay: true });
  await once(socket, "connect");
  const key = createKey();
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  let bytes = Buffer.alloc(0);
  for (;;) {
    const end = bytes.indexOf("\r\n\r\n");
    if (end !== -1) {
      const head = bytes.toString("latin1", 0, end);
      if (!head.startsWith("HTTP/1.1 101 ")) throw new Error(`no 101: ${head.slice(0, 80)}`);
      if (!head.includes(toAccept(key))) throw new Error("the answer has another key");
      return { socket, first: bytes.subarray(end + 4) };
    }
    const [next] = (await once(socket, "data")) as [Buffer];
    bytes = Buffer.concat([bytes, next]);
  }
}

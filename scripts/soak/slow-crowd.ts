import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { Random } from "./random.ts";

/** A client's slow part: its head, its body, a body that stops, or the reading of its response. */
export type SlowKind = "headers" | "body" | "stalled" | "read";

/** A connection that the server has ended. */
export interface Cut {
  readonly kind: SlowKind;
  readonly livedMs: number;
  /** Status of the answer before the end; `null`: none. */
  readonly status: number | null;
}

export interface SlowCrowdOptions {
  readonly port: number;
  readonly size: number;
  /** Number of slow readers. The other clients are divided among the other kinds. */
  readonly readers: number;
  /** Target of slow readers: larger than the buffers of the system. */
  readonly readPath: string;
  /** Target of bodies. */
  readonly bodyPath: string;
  readonly random: Random;
}

/** All kinds but slow readers. */
export const SENDING: readonly SlowKind[] = ["headers", "body", "stalled"];

/** A slow client acts once in this many ticks: each second. Spread out, so that they do not act all at once. */
const PHASES = 50;
const TICK_MS = 20;
/** Connections that are opened at once, and how often: 500 a second. */
const BATCH = 50;
const BATCH_MS = 100;
/** A client that was cut off comes back within this time, at a random moment. */
const RETURN_MS = 3_000;
const BODY_BYTES = 100_000;
const READ_BYTES = 16;

/**
 * Clients that keep a server busy with next to nothing. A client that is cut off comes back, as an attacker would.
 */
export class SlowCrowd {
  readonly cuts: Cut[] = [];
  /** Connections that could not be opened. */
  refused = 0;
  readonly #options: SlowCrowdOptions;
  readonly #open = new Map<Socket, { readonly kind: SlowKind; readonly phase: number }>();
  #phase = 0;
  readonly #ticks: NodeJS.Timeout;
  #gone = false;

  private constructor(options: SlowCrowdOptions) {
    this.#options = options;
    this.#ticks = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Resolves when all are connected, or refused. */
  static async gather(options: SlowCrowdOptions): Promise<SlowCrowd> {
    const crowd = new SlowCrowd(options);
    const { size, readers } = options;
    for (let count = 0; count < size;) {
      const batch: Promise<void>[] = [];
      for (; batch.length < BATCH && count < size; count++) {
        // Readers are spread among the others, so that they do not all request their large body at once.
        const isReader =
          Math.floor(((count + 1) * readers) / size) > Math.floor((count * readers) / size);
        const kind = isReader ? "read" : (SENDING[count % SENDING.length] ?? "headers");
        batch.push(new Promise((resolve) => crowd.#connect(kind, resolve)));
      }
      await Promise.all([...batch, delay(BATCH_MS)]);
    }
    return crowd;
  }

  /** Makes all clients leave for good, every other one with a reset. */
  leave(): void {
    this.#gone = true;
    clearInterval(this.#ticks);
    [...this.#open.keys()].forEach((socket, index) => {
      if (index % 2 === 0) socket.destroy();
      else socket.resetAndDestroy();
    });
    this.#open.clear();
  }

  #connect(kind: SlowKind, onSettled: () => void): void {
    const socket = connect({ port: this.#options.port, host: "127.0.0.1", noDelay: true });
    let sinceMs: number | null = null;
    let status: number | null = null;
    socket.once("connect", () => {
      if (this.#gone) {
        socket.destroy();
        return;
      }
      sinceMs = performance.now();
      this.#open.set(socket, { kind, phase: this.#options.random(PHASES) });
      socket.write(this.#opening(kind));
      if (kind === "read") socket.pause();
      onSettled();
    });
    socket.on("data", (bytes: Buffer) => {
      status ??= Number(/^HTTP\/1\.1 (\d{3})/.exec(bytes.toString("latin1", 0, 16))?.[1] ?? 0);
    });
    // "close" also follows a refusal and a reset.
    socket.on("error", () => {});
    socket.once("close", () => {
      onSettled();
      this.#open.delete(socket);
      if (this.#gone) return;
      if (sinceMs === null) this.refused++;
      else this.cuts.push({ kind, livedMs: performance.now() - sinceMs, status });
      setTimeout(() => {
        if (!this.#gone) this.#connect(kind, () => {});
      }, this.#options.random(RETURN_MS));
    });
  }

  #opening(kind: SlowKind): string {
    const { bodyPath, readPath } = this.#options;
    switch (kind) {
      case "headers":
        return `GET / HTTP/1.1\r\nHost: a\r\n`;
      case "body":
      case "stalled":
        return `POST ${bodyPath} HTTP/1.1\r\nHost: a\r\nContent-Length: ${BODY_BYTES}\r\n\r\nabc`;
      case "read":
        return `GET ${readPath} HTTP/1.1\r\nHost: a\r\n\r\n`;
    }
  }

  #tick(): void {
    this.#phase = (this.#phase + 1) % PHASES;
    for (const [socket, { kind, phase }] of this.#open) {
      if (phase !== this.#phase) continue;
      if (kind === "headers") socket.write("X-a: b\r\n");
      else if (kind === "body") socket.write("a");
      else if (kind === "read") socket.read(READ_BYTES);
    }
  }
}

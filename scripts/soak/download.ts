import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { Connection, type Endpoint } from "../../runtime/drill/connection.ts";
import { findOther } from "./pattern.ts";
import type { Random } from "./random.ts";

/** How a client reads: as fast as it can, a little at a time, or with pauses in which all buffers fill up. */
export type Reading = "fast" | "slow" | "pausing";

export const READINGS: readonly Reading[] = ["fast", "slow", "pausing"];

export interface DownloadOptions {
  readonly endpoint: Endpoint;
  readonly path: string;
  /** Offset of the body in the pattern, and its size. */
  readonly from: number;
  readonly bytes: number;
  readonly reading: Reading;
  readonly random: Random;
}

/** A slow reader pauses for a turn of the event loop after this many bytes: the socket is full most of the time. */
const SLOW_BYTES = 32 * 1024;
const PAUSE_MS = 20;
const HANGS_MS = 60_000;

/**
 * Downloads a body and compares every byte with the pattern.
 *
 * @throws Error for a wrong byte, size or status, and when the download hangs.
 */
export async function download(options: DownloadOptions): Promise<void> {
  const { endpoint, path, from, bytes } = options;
  const client = await Connection.open(endpoint);
  const timer = setTimeout(() => client.socket.destroy(), HANGS_MS);
  try {
    const receiving = client.receive({
      onBody: (piece, offset) => {
        const other = findOther(piece, from + offset);
        if (other !== -1) throw new Error(`another byte than it must be at ${offset + other}`);
      },
    });
    const pacing = pace(client, options);
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    const { head, bodyBytes, complete } = await receiving;
    client.socket.destroy();
    await pacing;
    if (head?.status !== 200) throw new Error(`status ${head?.status}, expected 200`);
    if (!complete || bodyBytes !== bytes) {
      throw new Error(`${bodyBytes} bytes${complete ? "" : ", broken off"}, expected ${bytes}`);
    }
  } finally {
    clearTimeout(timer);
    client.socket.destroy();
  }
}

async function pace({ socket }: Connection, { reading, random }: DownloadOptions): Promise<void> {
  if (reading === "fast") return;
  let untilBytes = 0;
  while (!socket.destroyed) {
    if (socket.bytesRead < untilBytes) {
      await nextTurn();
      continue;
    }
    socket.pause();
    if (reading === "slow") await nextTurn();
    else await delay(random(PAUSE_MS));
    socket.resume();
    const step = reading === "slow" ? SLOW_BYTES : 1 + random(2 * 1024 ** 2);
    untilBytes = socket.bytesRead + step;
  }
}

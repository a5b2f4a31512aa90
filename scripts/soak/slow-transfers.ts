import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { residentBytesOf } from "../../test/helpers/proc.ts";
import { startServer } from "../../test/helpers/start-server.ts";
import { Connection, type Endpoint } from "../../runtime/drill/connection.ts";
import type { LatencySummary } from "../../runtime/drill/latencies.ts";
import { Disturbance, judgeTimes } from "./disturbance.ts";
import { findOther, patternOf } from "./pattern.ts";
import { formatOrder } from "./produce.ts";
import { checkLogs } from "./server-log.ts";
import {
  atLeast,
  atMost,
  mebibytes,
  milliseconds,
  none,
  shown,
  type Soak,
  queueFlags,
} from "./soak.ts";
import { normalTraffic, Traffic } from "./traffic.ts";

const UPLOAD_BYTES = 100 * 1024;
const UPLOAD_BYTES_PER_SECOND = 2 * 1024;
const DOWNLOAD_BYTES = 10 * 1024 ** 2;
const DOWNLOAD_BYTES_PER_SECOND = 1024;
const QUIET_SECONDS = 5;
const BRIEF_QUIET_SECONDS = 1;
/** How often the clients check whether more bytes are due. */
const POLL_MS = 50;

/** Most memory that the server may take for all slow clients: some buffers of sockets for each. */
const MOST_GROWTH_BYTES = 128 * 1024 ** 2;

/** Uploads at 2 KB/s and downloads at 1 KB/s complete, although uWebSockets.js would cut both off after 12 s. */
export const slowTransfers: Soak = slowTransfersOf({
  name: "slow-transfers",
  about: "uploads at 2 KB/s and downloads at 1 KB/s go through, beside normal traffic",
  isProxied: false,
});

/** The same through a proxy: the upstream's application sees neither. */
export const slowTransfersProxy: Soak = slowTransfersOf({
  name: "slow-transfers-proxy",
  about: "the same, through a proxy to an upstream server",
  isProxied: true,
});

function slowTransfersOf({
  isProxied,
  ...names
}: Pick<Soak, "name" | "about"> & { readonly isProxied: boolean }): Soak {
  const run: Soak["run"] = async ({ scope, seconds, brief, say }) => {
    const flags = [...queueFlags(brief), "--access-log", "off"];
    const origin = {
      workers: 2,
      handlers: join(import.meta.dirname, "handlers"),
      public: { "file.bin": patternOf(0, DOWNLOAD_BYTES) },
      https: !isProxied,
      flags,
    };
    const first = await startServer(scope, origin);
    const server = isProxied
      ? await startServer(scope, {
          handlers: {},
          https: true,
          flags,
          files: { "edgicorn.config.json": JSON.stringify({ proxy: first.http }) },
        })
      : first;
    const plain = { port: server.port("http"), secure: false };
    const endpoints: readonly Endpoint[] = [plain, { port: server.port("https"), secure: true }];
    const traffic = await Traffic.start(scope, normalTraffic(plain));
    await delay(1000);
    const quiet = async (): Promise<LatencySummary> => {
      await traffic.cut();
      await delay((brief ? BRIEF_QUIET_SECONDS : QUIET_SECONDS) * 1000);
      return traffic.cut();
    };
    const disturbance = new Disturbance(server.pid);
    const before = await quiet();
    const bytesBefore = residentBytesOf(server.pid);
    const enough = new AbortController();
    const downloads = Promise.all(
      endpoints.flatMap((endpoint) =>
        DOWNLOADS.map((path) => slowDownload(endpoint, path, enough.signal)),
      ),
    );
    // Awaited below. A failure must end the uploads' wait, not the process.
    downloads.catch(() => undefined);
    const uploads = Promise.all(
      endpoints.flatMap((endpoint) => UPLOADS.map((upload) => slowUpload(endpoint, upload))),
    );
    const uploaded = await Promise.race([uploads, downloads.then(() => uploads)]);
    say(`${uploaded.length} uploads went through`);
    // Longer than any setting allows for a client that reads nothing: these read a little.
    if (!brief) await delay(Math.max(20, seconds - UPLOAD_SECONDS) * 1000);
    const grownBytes = residentBytesOf(server.pid) - bytesBefore;
    enough.abort();
    const taken = await downloads;
    const beside = await traffic.cut();
    const after = await quiet();
    const { cores } = disturbance;
    await traffic.stop();
    const times = (2 * beside.p99Ms) / (before.p99Ms + after.p99Ms);
    return [
      shown("uploads of 100 KiB at 2 KiB/s", `${uploaded.length} whole`),
      ...taken.map(({ path, bytes, seconds: lasted }) =>
        shown(path.slice(0, 9), `${mebibytes(bytes)} right in ${lasted.toFixed(0)} s, not cut`),
      ),
      atLeast("normal requests answered", traffic.answered, 1),
      none("normal requests lost", traffic.losses),
      shown("p99 before, after", `${milliseconds(before.p99Ms)}, ${milliseconds(after.p99Ms)}`),
      shown("p99 beside", milliseconds(beside.p99Ms)),
      ...judgeTimes(times, { cores, brief }),
      atMost("memory of the primary, grown", grownBytes, MOST_GROWTH_BYTES, mebibytes),
      ...[...new Set([server, first])].map((each) => checkLogs(each)),
    ];
  };
  return { ...names, buffersBytes: 64 * 1024, run };
}

const UPLOAD_SECONDS = UPLOAD_BYTES / UPLOAD_BYTES_PER_SECOND;

interface Upload {
  readonly path: string;
  readonly chunked: boolean;
  /** Whether the handler echoes the body; otherwise it returns its size. */
  readonly echoes: boolean;
}

const UPLOADS: readonly Upload[] = [
  { path: "/reads/1", chunked: false, echoes: false },
  { path: "/reads/2", chunked: true, echoes: false },
  { path: "/echo/3", chunked: false, echoes: true },
  { path: "/echo/4", chunked: true, echoes: true },
];

const order = { from: 0, bytes: DOWNLOAD_BYTES, piece: 65_536, pauseEvery: 0 };

/** A stream in chunks, one of an announced size, and a file. */
const DOWNLOADS: readonly string[] = [
  `/produces/5${formatOrder({ ...order, announced: false })}`,
  `/produces/6${formatOrder({ ...order, announced: true })}`,
  "/file.bin",
];

/** @throws Error for a wrong answer. */
async function slowUpload(endpoint: Endpoint, { path, chunked, echoes }: Upload): Promise<void> {
  const client = await Connection.open(endpoint);
  try {
    const received: Buffer[] = [];
    const receiving = client.receive({ onBody: (bytes) => received.push(Buffer.from(bytes)) });
    receiving.catch(() => undefined);
    const framing = chunked ? "Transfer-Encoding: chunked" : `Content-Length: ${UPLOAD_BYTES}`;
    await client.send(`POST ${path} HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
    // Several times a second, as on a slow line.
    const piece = UPLOAD_BYTES_PER_SECOND / 4;
    const startMs = performance.now();
    for (let at = 0; at < UPLOAD_BYTES && !client.closed; at += piece) {
      const bytes = patternOf(at, piece);
      const size = Buffer.from(`${piece.toString(16)}\r\n`);
      const framed = chunked ? Buffer.concat([size, bytes, Buffer.from("\r\n")]) : bytes;
      await client.send(framed);
      const dueMs = startMs + ((at + piece) / UPLOAD_BYTES_PER_SECOND) * 1000;
      await delay(Math.max(0, dueMs - performance.now()));
    }
    if (chunked) await client.send("0\r\n\r\n");
    const { head, complete } = await receiving;
    const body = Buffer.concat(received);
    const expected = echoes ? patternOf(0, UPLOAD_BYTES) : Buffer.from(String(UPLOAD_BYTES));
    if (head?.status !== 200 || !complete || !body.equals(expected)) {
      const status = head === null ? "no answer" : `status ${head.status}`;
      throw new Error(`slow upload to ${path}: ${status}, ${body.length} bytes of body`);
    }
  } finally {
    client.socket.destroy();
  }
}

/**
 * Reads 1 KiB/s until it has enough.
 *
 * @throws Error when the server ends it before, or for a wrong byte.
 */
async function slowDownload(
  endpoint: Endpoint,
  path: string,
  enough: AbortSignal,
): Promise<{ path: string; bytes: number; seconds: number }> {
  const client = await Connection.open(endpoint);
  const startMs = performance.now();
  try {
    const receiving = client.receive({
      onBody: (bytes, offset) => {
        const other = findOther(bytes, offset);
        if (other !== -1) throw new Error(`slow download of ${path}: wrong at ${offset + other}`);
      },
    });
    receiving.catch(() => undefined);
    client.socket.pause();
    // Node delivers a whole buffer at once. After that the client waits until that many bytes were due.
    client.socket.on("data", () => {
      if (client.bodyBytes > 0) client.socket.pause();
    });
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
    while (!enough.aborted && !client.closed) {
      const seconds = (performance.now() - startMs) / 1000;
      const due = seconds * DOWNLOAD_BYTES_PER_SECOND;
      if (client.bodyBytes < due) client.socket.resume();
      await delay(POLL_MS);
    }
    if (client.closed) {
      const seconds = ((performance.now() - startMs) / 1000).toFixed(0);
      await receiving;
      throw new Error(`slow download of ${path}: ended by the server after ${seconds} s`);
    }
    if (client.head?.status !== 200) throw new Error(`status ${client.head?.status}`);
    return { path, bytes: client.bodyBytes, seconds: (performance.now() - startMs) / 1000 };
  } finally {
    client.socket.destroy();
  }
}

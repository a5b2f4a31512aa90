import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { STREAMING_HANDLERS } from "../fixtures/streaming-handlers.ts";
import { eventually } from "../helpers/eventually.ts";
import { residentBytesOf, socketsOf } from "../helpers/proc.ts";
import type { RawConnection } from "../helpers/raw-connection.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

const MIB = 1024 * 1024;
const PROPERTY_MS = 8_000;

function start(t: TestContext, flags: readonly string[] = []): Promise<TestServer> {
  const all = ["--body-limit", "1gb", ...flags];
  return startServer(t, { handlers: STREAMING_HANDLERS, flags: all });
}

describe("clients that stand still", { timeout: 40_000 }, () => {
  it("are cut off by the named setting, and nothing of them is left", async (t) => {
    const flags = ["--body-timeout", "1s", "--send-timeout", "1s", "--drain-grace", "3s"];
    const server = await start(t, flags);

    // In the buffer of the primary, before any worker has it.
    const gathering = await server.connect();
    gathering.send("POST /reads HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nhello");
    // In a worker.
    const feeding = await server.connect();
    feeding.send("POST /reads?id=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    feeding.send(Buffer.alloc(200_000));
    const responses = await Promise.all([gathering.response(), feeding.response()]);
    assert.deepEqual(
      responses.map(({ status }) => status),
      [408, 408],
    );
    await server.until(({ msg, id }) => msg === "reads failed" && id === "1");
    await server.until(({ setting }) => setting === "bodyTimeout");

    const stalled = await server.connect();
    stalled.socket.pause();
    stalled.send("GET /endless?id=stalled HTTP/1.1\r\nHost: a\r\n\r\n");
    await server.until(({ setting }) => setting === "sendTimeout");
    await server.until(({ msg, id }) => msg === "endless cancelled" && id === "stalled");

    const startMs = performance.now();
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.ok(performance.now() - startMs < 2_500, "no exchange was waited for");
  });

  it("are not cut off while we hold them back, or while nothing is there to take", async (t) => {
    const server = await start(t, ["--body-timeout", "1s", "--send-timeout", "1s"]);
    const held = await server.connect();
    const size = 20 * MIB;
    held.send(`POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    held.send(Buffer.alloc(size));
    const quiet = await server.connect();
    quiet.send("GET /events?id=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    await quiet.response({ head: true });
    await server.until(({ msg }) => msg === "gate waits");
    // Longer than our timers, and than the library's of 8 to 12 s, which cannot be set.
    await delay(13_000);
    assert.ok(!held.closed && !quiet.closed);
    // Whichever worker has it.
    await eventually(t, async () => (await server.fetch("/open-gate")).status === 200);
    await eventually(t, async () => {
      if (held.socket.bytesRead === 0) await server.fetch("/open-gate");
      return held.socket.bytesRead > 0;
    });
    assert.equal(String((await held.response()).body), String(size));
  });
});

/** A sequence that a seed determines (mulberry32), so that a failure can be seen again. */
function sequence(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

/** One exchange, random in size, pieces, pauses and end; throws when it ends in anything but one right outcome. */
async function exchange(server: TestServer, random: (below: number) => number): Promise<string> {
  const connection = await server.connect();
  try {
    const sizes = [0, 1, 1_000, 65_536, 70_000, 300_000, 2 * MIB];
    const size = sizes[random(sizes.length)] ?? 0;
    const body = Buffer.alloc(size, random(256));
    const leavesAt = random(3) === 0 ? random(size + 1) : null;
    const isChunked = random(2) === 0;
    const path = ["/echo", "/echo", "/reads?id=0", "/early", `/produce?bytes=${size}`][random(5)];
    const framing = isChunked ? "Transfer-Encoding: chunked" : `Content-Length: ${size}`;
    const leavesReading = leavesAt === null && random(4) === 0;
    if (random(3) === 0) void pauseNowAndThen(connection, random);
    connection.send(`POST ${path} HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n`);
    const sending = sendBody(connection, body, { random, isChunked, leavesAt });
    if (leavesReading) {
      await connection.bytes(1);
      return "left while reading";
    }
    if (leavesAt !== null) {
      await sending;
      if (random(2) === 0) connection.reset();
      return "left while sending";
    }
    const response = await connection.response();
    const expected = path === "/early" ? 403 : 200;
    assert.equal(response.status, expected, path);
    if (path === "/echo") assert.ok(response.body.equals(body), "echoed as it was sent");
    else if (path?.startsWith("/reads") === true) assert.equal(String(response.body), String(size));
    else if (path?.startsWith("/produce") === true) assert.equal(response.body.length, size);
    return "answered";
  } finally {
    connection.destroy();
  }
}

async function sendBody(
  connection: RawConnection,
  body: Buffer,
  how: { random: (below: number) => number; isChunked: boolean; leavesAt: number | null },
): Promise<void> {
  const { random, isChunked, leavesAt } = how;
  const end = leavesAt ?? body.length;
  for (let at = 0; at < end;) {
    const piece = body.subarray(
      at,
      Math.min(end, at + 1 + random(random(4) === 0 ? 100 : 200_000)),
    );
    at += piece.length;
    if (isChunked) connection.send(`${piece.length.toString(16)}\r\n`);
    connection.send(piece);
    if (isChunked) connection.send("\r\n");
    if (random(8) === 0) await delay(random(4));
    if (connection.closed) return;
  }
  if (leavesAt === null && isChunked) connection.send("0\r\n\r\n");
}

async function pauseNowAndThen(
  { socket }: RawConnection,
  random: (below: number) => number,
): Promise<void> {
  for (let times = random(10); times > 0 && !socket.destroyed; times--) {
    socket.pause();
    await delay(random(10));
    socket.resume();
    await delay(random(3));
  }
}

describe("any exchange", { timeout: 40_000 }, () => {
  it("ends in exactly one outcome, and leaves nothing behind", async (t) => {
    const seed = Number(process.env["SEED"] ?? randomInt(2 ** 31));
    t.diagnostic(`SEED=${seed}`);
    const server = await start(t, ["--access-log", "off"]);
    const random = sequence(seed);
    // Once warm: buffers and code grow with the first load and stay.
    for (let number = 0; number < 20; number++) await exchange(server, random);
    const pids = [server.pid, ...server.workers.values()];
    const before = pids.map((pid) => residentBytesOf(pid));
    const sockets = socketsOf(server.pid);
    const endMs = performance.now() + PROPERTY_MS;
    const outcomes = new Map<string, number>();
    const loop = async (own: (below: number) => number): Promise<void> => {
      while (performance.now() < endMs) {
        const outcome = await exchange(server, own);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      }
    };
    await Promise.all(Array.from({ length: 12 }, (_, index) => loop(sequence(seed + index))));
    t.diagnostic(JSON.stringify(Object.fromEntries(outcomes)));
    assert.equal(outcomes.size, 3);
    assert.equal(await (await server.fetch("/")).text(), "hello");
    await eventually(t, () => socketsOf(server.pid) <= sockets + 2);
    const grown = pids.map((pid, index) => (residentBytesOf(pid) - (before[index] ?? 0)) / MIB);
    assert.ok(Math.max(...grown) < 128, `grown by ${grown.map(Math.round).join(", ")} MiB`);
    const startMs = performance.now();
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.ok(performance.now() - startMs < 5_000, "no exchange was waited for");
  });
});

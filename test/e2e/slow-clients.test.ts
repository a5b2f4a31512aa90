import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { accessOutcomes, endpointsOf, startExchangeServer } from "../../scripts/soak/exchanges.ts";
import {
  type ExchangeRecord,
  findAccessBreaches,
  runExchanges,
} from "../../scripts/soak/exchange-load.ts";
import { STREAMING_HANDLERS } from "../fixtures/streaming-handlers.ts";
import { eventually } from "../helpers/eventually.ts";
import { residentBytesOf, socketsOf } from "../helpers/proc.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";

const MIB = 1024 * 1024;
const PROPERTY_MS = 4_000;

function start(t: TestContext, flags: readonly string[] = []): Promise<TestServer> {
  const all = ["--body-limit", "1gb", ...flags];
  return startServer(t, { handlers: STREAMING_HANDLERS, flags: all });
}

/** Fails if the stop waited for an exchange until the grace was over. */
function assertNotCutOff(server: TestServer): void {
  assert.ok(!server.logs.some(({ setting }) => setting === "drainGrace"));
}

describe("clients that stand still", { timeout: 300_000 }, () => {
  it("are cut off by the named setting, and nothing of them is left", async (t) => {
    const flags = ["--body-timeout", "1s", "--send-timeout", "1s"];
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

    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assertNotCutOff(server);
  });

  it("are cut off within a body that is answered already", async (t) => {
    const server = await start(t, ["--body-timeout", "2s"]);
    const connection = await server.connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    connection.send(Buffer.alloc(200_000));
    // It stands still once the answer has begun, which may be late.
    let hasBegun = false;
    const answer = connection.response({ head: true }).finally(() => (hasBegun = true));
    await eventually(t, () => {
      if (!hasBegun) connection.send(Buffer.alloc(10));
      return hasBegun;
    });
    assert.equal((await answer).status, 200);
    await server.until(({ setting }) => setting === "bodyTimeout");
    await connection.untilClosed();

    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assertNotCutOff(server);
  });

  it("are cut off when they take nothing of a file that they asked for with a body", async (t) => {
    const large = { "large.bin": Buffer.alloc(20 * MIB) };
    const flags = ["--send-timeout", "1s"];
    const server = await startServer(t, { handlers: STREAMING_HANDLERS, public: large, flags });
    const connection = await server.connect();
    connection.socket.pause();
    connection.send("GET /large.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    await server.until(({ setting }) => setting === "sendTimeout");
  });
});

// Side by side: they do nothing for longer than our timers, and than the library's of 8 to 12 s, which cannot be set.
describe("clients that have to wait", { timeout: 300_000, concurrency: true }, () => {
  it("are not cut off when their body was held back to its end", async (t) => {
    const server = await start(t, ["--body-timeout", "5s", "--send-timeout", "5s"]);
    const answers = [0, 1].map(async () => {
      const connection = await server.connect();
      const head = "POST /slow?wait=500&work=12500 HTTP/1.1";
      connection.send(`${head}\r\nHost: a\r\nContent-Length: ${3 * MIB}\r\n\r\n`);
      connection.send(Buffer.alloc(3 * MIB));
      return String((await connection.response()).body);
    });
    assert.deepEqual(await Promise.all(answers), Array(2).fill(String(3 * MIB)));
  });

  it("are not cut off while we hold them back, or while nothing is there to take", async (t) => {
    const server = await start(t, ["--body-timeout", "5s", "--send-timeout", "5s"]);
    const held = await server.connect();
    const size = 20 * MIB;
    held.send(`POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
    held.send(Buffer.alloc(size));
    const quiet = await server.connect();
    quiet.send("GET /events?id=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    await quiet.response({ head: true });
    await server.until(({ msg }) => msg === "gate waits");
    await delay(13_000);
    assert.ok(!held.closed && !quiet.closed);
    // Whichever worker has it.
    await eventually(t, async () => (await server.fetch("/open-gate")).status === 200);
    await eventually(t, async () => {
      if (held.socket.bytesRead === 0) await server.fetch("/open-gate");
      return held.socket.bytesRead > 0;
    });
    assert.equal(String((await held.response()).body), String(size));
    // Else the stop of the server would wait for it.
    quiet.destroy();
  });
});

describe("any exchange", { timeout: 300_000 }, () => {
  it("ends in exactly one outcome, and leaves nothing behind", async (t) => {
    const seed = Number(process.env["SEED"] ?? randomInt(1, 2 ** 31));
    t.diagnostic(`SEED=${seed}`);
    const server = await startExchangeServer(t);
    const load = { endpoints: endpointsOf(server), concurrency: 12 };
    // Once warm: buffers and code grow with the first load and stay.
    await runExchanges({ ...load, seed, seconds: 0.5, from: 100_000_000 });
    const pids = [server.pid, ...server.workers.values()];
    const before = pids.map((pid) => residentBytesOf(pid));
    const sockets = socketsOf(server.pid);
    const records: ExchangeRecord[] = [];
    const kinds = new Set<string>();
    // A slow machine may need several rounds until each kind of outcome was among them.
    for (let round = 0; kinds.size < 3; round++) {
      const from = round * 20_000_000;
      records.push(...(await runExchanges({ ...load, seed, seconds: PROPERTY_MS / 1000, from })));
      for (const { outcome } of records) kinds.add(outcome.kind);
    }
    t.diagnostic(`${records.length} exchanges`);
    assert.deepEqual([...kinds].toSorted(), ["answered", "broken", "left"]);
    assert.equal(await (await server.fetch("/")).text(), "hello");
    await eventually(t, () => socketsOf(server.pid) <= sockets + 2);
    const grown = pids.map((pid, index) => (residentBytesOf(pid) - (before[index] ?? 0)) / MIB);
    assert.ok(Math.max(...grown) < 128, `grown by ${grown.map(Math.round).join(", ")} MiB`);
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assertNotCutOff(server);
    // Complete now: the log is written before the process ends.
    assert.deepEqual(findAccessBreaches(records, accessOutcomes(server)), []);
  });
});

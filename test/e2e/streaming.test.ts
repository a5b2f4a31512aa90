import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request as requestPlain } from "node:http";
import { request as requestTls } from "node:https";
import { connect as connectTls } from "node:tls";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as nextTurn, setTimeout as delay } from "node:timers/promises";
import { STREAMING_HANDLERS } from "../fixtures/streaming-handlers.ts";
import { peakBytesOf, residentBytesOf } from "../helpers/proc.ts";
import { fieldOf, RawConnection } from "../helpers/raw-connection.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { startServer, type StartOptions, type TestServer } from "../helpers/start-server.ts";

const MIB = 1024 * 1024;
const BLOCK = 65_536;

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** What `produce` answers with. */
function produced(bytes: number): Buffer {
  const all = Buffer.alloc(bytes);
  for (let at = 0; at < bytes; at += BLOCK) all.fill((at / BLOCK) & 255, at, at + BLOCK);
  return all;
}

interface Download {
  status: number;
  fields: IncomingMessage["headers"];
  bytes: number;
  digest: string;
}

interface Upload {
  method?: string;
  /** Sent piece by piece, as fast as the connection takes them. */
  body?: Iterable<Uint8Array>;
  headers?: Record<string, string>;
  /** After how many bytes the client stops for a moment before it reads on; as fast as it can unless told. */
  pauseEveryBytes?: number;
}

/** Sends on a connection of its own and reads while it sends. Throws when the connection breaks. */
async function transfer(url: string, options: Upload = {}): Promise<Download> {
  const { method = "GET", body, headers = {}, pauseEveryBytes } = options;
  const request = url.startsWith("https:") ? requestTls : requestPlain;
  const sending = request(url, { method, headers, agent: false, rejectUnauthorized: false });
  const responding = once(sending, "response") as Promise<[IncomingMessage]>;
  const upload = async (): Promise<void> => {
    for (const piece of body ?? []) {
      if (sending.destroyed) return;
      if (!sending.write(piece)) await once(sending, "drain");
    }
    sending.end();
  };
  const failure = new Promise<never>((_, reject) => sending.once("error", reject));
  const download = async (): Promise<Download> => {
    const [response] = await responding;
    const hash = createHash("sha256");
    let bytes = 0;
    let sincePause = 0;
    for await (const chunk of response as AsyncIterable<Buffer>) {
      hash.update(chunk);
      bytes += chunk.length;
      sincePause += chunk.length;
      if (pauseEveryBytes === undefined || sincePause < pauseEveryBytes) continue;
      sincePause = 0;
      // Not waited for: what a slow client is.
      await delay(2);
    }
    const { statusCode = 0, headers: fields } = response;
    return { status: statusCode, fields, bytes, digest: hash.digest("hex") };
  };
  const [result] = await Promise.all([
    Promise.race([download(), failure]),
    Promise.race([upload(), failure]),
  ]);
  return result;
}

function* pieces(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

/** Memory of the primary and its workers. */
function memoryOf(server: TestServer): Map<number, number> {
  const pids = [server.pid, ...server.workers.values()];
  return new Map(pids.map((pid) => [pid, residentBytesOf(pid)]));
}

function assertGrownLess(before: ReadonlyMap<number, number>, mib: number): void {
  const grown = [...before].map(([pid, bytes]) => (peakBytesOf(pid) - bytes) / MIB);
  assert.ok(Math.max(...grown) < mib, `grown by ${grown.map(Math.round).join(", ")} MiB`);
}

function start(t: TestContext, options: Partial<StartOptions> = {}): Promise<TestServer> {
  const flags = ["--body-limit", "1gb", "--access-log", "off", ...(options.flags ?? [])];
  return startServer(t, { workers: 2, handlers: STREAMING_HANDLERS, ...options, flags });
}

/** For tests that measure no memory and end no process. */
const shared = shareServer({
  handlers: STREAMING_HANDLERS,
  https: true,
  flags: ["--body-limit", "1gb", "--access-log", "off"],
});

describe("large bodies", { timeout: 240_000 }, () => {
  it("arrive as they were sent, plain and through TLS, however the client reads", async (t) => {
    const size = 6 * MIB;
    const expected = produced(size);
    const server = await start(t, { https: true, public: { "static.bin": expected } });
    const sum = digest(expected);
    const before = memoryOf(server);
    for (const base of [server.http, server.https]) {
      for (const path of [
        `/produce?bytes=${size}`,
        `/produce?bytes=${size}&announced=${size}`,
        "/static.bin",
      ]) {
        const slow = { pauseEveryBytes: 256 * 1024 };
        const results = await Promise.all([
          transfer(base + path),
          transfer(base + path, slow),
          transfer(base + path, slow),
        ]);
        for (const { status, bytes, digest: found } of results) {
          assert.deepEqual([status, bytes, found], [200, size, sum], base + path);
        }
        const hasLength = !path.endsWith(`bytes=${size}`);
        assert.equal(results[0]?.fields["content-length"], hasLength ? String(size) : undefined);
      }
    }
    assertGrownLess(before, 160);
  });

  it("are echoed while they are sent, with bounded memory", async (t) => {
    const server = await start(t);
    await transfer(`${server.http}/echo`, { method: "POST", body: [Buffer.alloc(MIB)] });
    const before = memoryOf(server);
    const body = randomBytes(16 * MIB);
    const large = Buffer.concat([body, body, body, body]);
    const one = await transfer(`${server.http}/echo`, {
      method: "POST",
      body: pieces(large, BLOCK),
    });
    assert.deepEqual([one.status, one.bytes, one.digest], [200, large.length, digest(large)]);
    const sum = digest(body);
    const many = await Promise.all(
      Array.from({ length: 8 }, (_, number) =>
        transfer(`${server.http}/echo`, {
          method: "POST",
          headers: number % 2 === 0 ? {} : { "content-length": String(body.length) },
          body: pieces(body, 10_000 + number * 7_777),
        }),
      ),
    );
    for (const { status, digest: found } of many) assert.deepEqual([status, found], [200, sum]);
    assertGrownLess(before, 160);
  });

  it("are echoed to a client that sends fast and reads slowly", async (t) => {
    const server = await start(t, { https: true });
    const body = randomBytes(6 * MIB);
    const sum = digest(body);
    const before = memoryOf(server);
    // Over TLS a fault of the library lost one in dozens (decision 027).
    for (let round = 0; round < 4; round++) {
      const results = await Promise.all(
        [server.http, server.https, server.https, server.https].map((base) =>
          transfer(`${base}/echo`, {
            method: "POST",
            body: pieces(body, MIB),
            pauseEveryBytes: 128 * 1024,
          }),
        ),
      );
      for (const { bytes, digest: found } of results) {
        assert.deepEqual([bytes, found], [body.length, sum]);
      }
    }
    assertGrownLess(before, 160);
  });

  it("are taken slowly, piece by piece", async () => {
    const server = await shared();
    const body = randomBytes(200 * 1_000);
    const connection = await server.connect();
    connection.send(`POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n`);
    for (const piece of pieces(body, 1_000)) {
      await connection.sent(piece);
      await nextTurn();
    }
    assert.equal(digest((await connection.response()).body), digest(body));
  });

  it("hold a client back whose handler does not read, and reach it in the end", async (t) => {
    const server = await start(t, { workers: 1 });
    const before = memoryOf(server);
    const size = 48 * MIB;
    let taken = 0;
    function* counted(): Generator<Uint8Array> {
      for (; taken < size; taken += BLOCK) yield Buffer.alloc(BLOCK);
    }
    const sending = transfer(`${server.http}/gate`, { method: "POST", body: counted() });
    await server.until(({ msg }) => msg === "gate waits");
    // Until it stands still: nothing tells of that.
    for (let last = -1; last !== taken;) {
      last = taken;
      await delay(200);
    }
    assert.ok(taken < size, "the client has not sent all");
    assert.equal(await (await server.fetch("/open-gate")).text(), "open");
    const { status, bytes } = await sending;
    assert.deepEqual([status, bytes], [200, String(size).length]);
    assertGrownLess(before, 160);
  });

  it("pass through a handler that fetches them elsewhere", async (t) => {
    const origin = createServer((request, response) => {
      response.writeHead(203, { "x-from": request.headers["x-from"] ?? "" });
      request.pipe(response);
    }).listen(0, "127.0.0.1");
    t.after(() => origin.close());
    await once(origin, "listening");
    const address = origin.address();
    assert.ok(address !== null && typeof address === "object");
    const server = await shared();
    const to = encodeURIComponent(`http://127.0.0.1:${address.port}/`);
    const body = randomBytes(8 * MIB);
    const result = await transfer(`${server.http}/proxy?to=${to}`, {
      method: "POST",
      headers: { "x-from": "client" },
      body: pieces(body, BLOCK),
    });
    assert.deepEqual([result.status, result.digest], [203, digest(body)]);
    assert.equal(result.fields["x-from"], "client");
  });
});

describe("event streams", { timeout: 300_000 }, () => {
  it("open at once, and bring each event when it is made", async () => {
    const server = await shared();
    const client = await server.connect();
    client.send("GET /events?id=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    // Nothing was pushed yet: the head comes all the same.
    const head = await client.response({ head: true });
    assert.equal(head.status, 200);
    assert.equal(fieldOf(head, "content-type"), "text/event-stream");
    assert.equal(String(await client.chunk()), ":\n\n");
    for (let number = 0; number < 20; number++) {
      await server.fetch(`/push?id=1&data=${number}`);
      assert.equal(String(await client.chunk()), `data: ${number}\n\n`);
    }
    await server.fetch("/push?id=1");
    assert.equal(String(await client.chunk()), "");
    // The connection is good for more.
    client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.equal(String((await client.response()).body), "hello");
  });

  it("have no byte before the handler's when they are compressed", async () => {
    const server = await shared();
    const response = server.fetch("/events?id=coded&gzip");
    await server.until(({ msg, id }) => msg === "coded events begun" && id === "coded");
    await server.fetch("/push?id=coded&data=1");
    await server.fetch("/push?id=coded");
    // Here fetch() decodes it.
    assert.equal(await (await response).text(), "data: 1\n\n");
  });

  it("end for the handler when the client leaves", async () => {
    const server = await shared();
    const client = await server.connect();
    client.send("GET /events?id=left HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.response({ head: true });
    client.destroy();
    await server.until(({ msg, id }) => msg === "events cancelled" && id === "left");
  });
});

describe("streams that do not go well", { timeout: 300_000 }, () => {
  it("break the connection when they fail, and never end in order", async () => {
    const server = await shared();
    const client = await server.connect();
    client.send("GET /events?id=1 HTTP/1.1\r\nHost: a\r\n\r\n");
    await client.response({ head: true });
    await server.fetch("/push?id=1&data=x");
    await server.fetch("/push?id=1&fail");
    const rest = await client.untilClosed();
    assert.doesNotMatch(rest, /0\r\n\r\n$|secret/);
    assert.equal(await (await server.fetch("/")).text(), "hello");
  });

  it("are broken off when they are shorter than announced, and cut when longer", async (t) => {
    const server = await start(t);
    for (const [bytes, announced] of [
      [10, 11],
      [100_000, 200_000],
      [100_000, 99_999],
    ] as const) {
      const path = `/produce?bytes=${bytes}&announced=${announced}`;
      await assert.rejects(transfer(server.http + path), path);
    }
    // Of these nothing was sent yet: it can be said.
    for (const order of ["bytes=0&announced=1", "bytes=10&announced=9"]) {
      assert.equal((await server.fetch(`/produce?${order}`)).status, 500);
    }
    // What comes after the last announced byte nobody waits for.
    const cut = await transfer(`${server.http}/produce?bytes=${3 * BLOCK}&announced=${2 * BLOCK}`);
    assert.equal(cut.bytes, 2 * BLOCK);
    // No exchange is left behind: it ends in order at once.
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("are cancelled, and the signal aborted, when the client leaves", async () => {
    const server = await shared();
    for (const how of ["destroy", "reset"] as const) {
      const connection = await server.connect();
      connection.send(`GET /endless?id=${how} HTTP/1.1\r\nHost: a\r\n\r\n`);
      await connection.bytes(MIB);
      connection.socket.pause();
      connection[how]();
      for (const msg of ["endless cancelled", "endless aborted"]) {
        await server.until((line) => line.msg === msg && line["id"] === how);
      }
    }
  });

  it("fail the handler's reading when the client leaves in the middle of its body", async () => {
    const server = await shared();
    for (const how of ["destroy", "reset"] as const) {
      const connection = await server.connect();
      connection.send(
        `POST /reads?id=${how} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n`,
      );
      connection.send(Buffer.alloc(300_000));
      await server.until(({ msg, id }) => msg === "reads began" && id === how);
      connection[how]();
      const line = await server.until(({ msg, id }) => msg === "reads failed" && id === how);
      assert.deepEqual([line["name"], line["aborted"]], ["AbortError", true]);
    }
  });

  it("break with their worker; a request that was not answered yet gets 502", async (t) => {
    const server = await start(t, { workers: 1 });
    const streaming = await server.connect();
    streaming.send("GET /endless HTTP/1.1\r\nHost: a\r\n\r\n");
    await streaming.bytes(100_000);
    const waiting = await server.connect();
    waiting.send("POST /gate HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx");
    await server.until(({ msg }) => msg === "gate waits");
    const [pid = 0] = server.workers.values();
    process.kill(pid, "SIGKILL");
    assert.doesNotMatch(await streaming.untilClosed(), /0\r\n\r\n$/);
    assert.equal((await waiting.response()).status, 502);
  });
});

describe("answers before the body is there", { timeout: 300_000 }, () => {
  it("reach a client that sends all before it reads", async () => {
    const server = await shared();
    // More than the kernel takes unread: 4 MiB of the sender, 6 MiB of the receiver.
    const size = 24 * MIB;
    const open = async (scheme: string): Promise<RawConnection> => {
      if (scheme === "http") return server.connect();
      const socket = connectTls({ port: server.port("https"), rejectUnauthorized: false });
      await once(socket, "secureConnect");
      return RawConnection.over(socket);
    };
    const paths = ["/early", "/produce?bytes=100000", "/produce?bytes=100000&announced=100000"];
    for (const scheme of ["http", "https"]) {
      for (const path of paths) {
        const connection = await open(scheme);
        connection.socket.pause();
        connection.send(`POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`);
        for (let sent = 0; sent < size; sent += MIB) await connection.sent(Buffer.alloc(MIB));
        connection.socket.resume();
        const { status } = await connection.response();
        assert.equal(status, path === "/early" ? 403 : 200, scheme + path);
        connection.destroy();
      }
    }
  });

  it("reach a client that is still sending", async () => {
    const server = await shared();
    for (let round = 0; round < 5; round++) {
      const response = await server.fetch("/early", {
        method: "POST",
        body: Buffer.alloc(8 * MIB),
      });
      assert.deepEqual([response.status, await response.text()], [403, "no, thank you"]);
    }
    const connection = await server.connect();
    // More than the Node engine reads after an answer.
    connection.send("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: 4000000\r\n\r\n");
    connection.send(Buffer.alloc(100_000));
    const response = await connection.response();
    assert.deepEqual([response.status, fieldOf(response, "connection")], [403, "close"]);
  });

  it("come after 100 Continue for a client that asks first", async () => {
    const server = await shared();
    const connection = await server.connect();
    const body = randomBytes(300_000);
    connection.send(
      `POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
    );
    assert.equal((await connection.response()).status, 100);
    connection.send(body);
    assert.equal(digest((await connection.response()).body), digest(body));
  });
});

describe("responses to HEAD", { timeout: 300_000 }, () => {
  it("have no body, and cancel the stream that would have been it", async () => {
    const server = await shared();
    const connection = await server.connect();
    for (let round = 0; round < 3; round++) {
      connection.send(`HEAD /endless?id=${round} HTTP/1.1\r\nHost: a\r\n\r\n`);
      assert.equal((await connection.response({ head: true })).status, 200);
      await server.until(({ msg, id }) => msg === "endless cancelled" && id === String(round));
    }
    connection.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert.equal(String((await connection.response()).body), "hello");
  });
});

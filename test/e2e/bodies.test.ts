import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { HttpClient } from "../helpers/http-client.ts";
import { fieldOf } from "../helpers/raw-connection.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { startServer } from "../helpers/start-server.ts";

const MIB = 1024 * 1024;

// On a slow machine a body that is sent byte by byte is slower than the least rate.
const shared = shareServer({ handlers: FIXTURE_HANDLERS, flags: ["--min-body-rate", "0"] });

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** One chunk of a chunked body (RFC 9112 section 7.1). */
function toChunk(bytes: Uint8Array): Buffer {
  return Buffer.concat([
    Buffer.from(`${bytes.length.toString(16)}\r\n`),
    bytes,
    Buffer.from("\r\n"),
  ]);
}

function toHead(path: string, ...fields: string[]): string {
  return [`POST ${path} HTTP/1.1`, "Host: localhost", ...fields, "", ""].join("\r\n");
}

describe("request bodies", { timeout: 600_000 }, () => {
  it("reach the handler and come back byte by byte, whatever their size and framing", async (t) => {
    const server = await shared();

    await t.test("with a length, from nothing to the limit", async () => {
      for (const size of [0, 1, 1_023, 65_535, 65_536, 65_537, 524_288, MIB - 1, MIB]) {
        const body = randomBytes(size);
        const response = await server.fetch("/echo", { method: "POST", body });
        assert.equal(response.status, 200);
        assert.equal(digest(new Uint8Array(await response.arrayBuffer())), digest(body), `${size}`);
      }
    });

    await t.test("every byte there is, in any method that has a body", async () => {
      const body = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
      for (const method of ["POST", "PUT", "PATCH", "DELETE", "REPORT"]) {
        const response = await server.fetch("/echo", { method, body });
        assert.deepEqual(Buffer.from(await response.arrayBuffer()), body);
        assert.equal(response.headers.get("x-method"), method);
      }
    });

    await t.test("in chunks, of any size and cut anywhere", async () => {
      const body = randomBytes(100_000);
      const chunks = [0, 1, 2, 15, 16, 17, 255, 4_096, 65_536, 100_000].map((end, index, ends) =>
        body.subarray(ends[index - 1] ?? 0, end),
      );
      const wire = Buffer.concat([...chunks.slice(1).map(toChunk), Buffer.from("0\r\n\r\n")]);
      for (const size of [wire.length, 10_000, 1_000, 333]) {
        // The connection ends with the answer to a chunked request.
        const connection = await server.connect();
        connection.send(toHead("/echo", "Transfer-Encoding: chunked"));
        for (let at = 0; at < wire.length; at += size)
          await connection.sent(wire.subarray(at, at + size));
        const response = await connection.response();
        assert.equal(response.status, 200);
        assert.equal(digest(response.body), digest(body), `pieces of ${size} bytes`);
      }
    });

    await t.test("in chunks without any data", async () => {
      const connection = await server.connect();
      connection.send(`${toHead("/echo", "Transfer-Encoding: chunked")}0\r\n\r\n`);
      assert.equal((await connection.response()).body.length, 0);
    });

    await t.test("slowly, byte by byte, while others are served", async () => {
      const slow = await server.connect();
      const body = randomBytes(60);
      slow.send(toHead("/echo", `Content-Length: ${body.length}`));
      for (const byte of body) {
        await slow.sent(Buffer.from([byte]));
        assert.equal(await (await server.fetch("/")).text(), "hello");
      }
      assert.deepEqual((await slow.response()).body, body);
    });

    await t.test("200 at a time, each to its own answer", async () => {
      const client = new HttpClient(t, server.http, { connections: 200 });
      const bodies = Array.from({ length: 200 }, (_, number) => randomBytes(number * 500));
      const responses = await Promise.all(
        bodies.map((body, number) =>
          client.request("/echo", { method: "POST", body, headers: { "x-token": `${number}` } }),
        ),
      );
      for (const [number, { status, headers, body }] of responses.entries()) {
        assert.equal(status, 200);
        assert.equal(headers["x-token"], String(number));
        assert.ok(body.equals(bodies[number] ?? Buffer.alloc(0)));
      }
    });

    await t.test("and the connection goes on after a large one", async () => {
      const connection = await server.connect();
      for (const size of [MIB, 0, MIB, 1, 500_000]) {
        const body = randomBytes(size);
        connection.send(toHead("/echo", `Content-Length: ${size}`));
        connection.send(body);
        assert.equal(digest((await connection.response()).body), digest(body));
      }
    });

    await t.test(
      "and the connection goes on after one that the handler does not read",
      async () => {
        let connection = await server.connect();
        for (const path of ["/respond", "/nothing", "/respond", "/nothing"]) {
          connection.send(toHead(path, `Content-Length: ${MIB}`));
          connection.send(randomBytes(MIB));
          const response = await connection.response();
          assert.ok(response.status < 500);
          // An answer that leaves before the body has arrived announces that the connection ends.
          if (fieldOf(response, "connection") === "close") connection = await server.connect();
        }
      },
    );

    await t.test("after Expect: 100-continue", async () => {
      const connection = await server.connect();
      connection.send(toHead("/echo", "Content-Length: 5", "Expect: 100-continue"));
      assert.equal((await connection.response()).status, 100);
      connection.send("hello");
      assert.equal(String((await connection.response()).body), "hello");
    });

    await t.test("with GET, and one that the handler does not read", async () => {
      const connection = await server.connect();
      const rest = "Host: localhost\r\nContent-Length: 5\r\n\r\nhello";
      connection.send(`GET /inspect HTTP/1.1\r\n${rest}`);
      assert.match(String((await connection.response()).body), /"method":"GET"/);
      connection.send(`POST /respond HTTP/1.1\r\n${rest}`);
      assert.equal((await connection.response()).status, 200);
      connection.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
      assert.equal(String((await connection.response()).body), "hello");
    });
  });

  it("above the limit are refused with 413, which a client sees, and no handler", async (t) => {
    const flags = ["--body-limit", "100kb"];
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, workers: 2, flags });
    const limit = 100 * 1024;

    await t.test("by their announced length, without waiting for them", async () => {
      const connection = await server.connect();
      connection.send(toHead("/echo", `Content-Length: ${limit + 1}`));
      const response = await connection.response();
      assert.equal(response.status, 413);
      assert.equal(fieldOf(response, "connection"), "close");
    });

    await t.test("by their chunks", async () => {
      const connection = await server.connect();
      connection.send(toHead("/echo", "Transfer-Encoding: chunked"));
      connection.send(toChunk(Buffer.alloc(limit)));
      connection.send(toChunk(Buffer.alloc(1)));
      assert.equal((await connection.response()).status, 413);
    });

    await t.test("to a client that goes on sending", async () => {
      for (const size of [limit + 1, 5 * MIB]) {
        const known = await server.fetch("/echo", { method: "POST", body: Buffer.alloc(size) });
        assert.equal(known.status, 413);
        assert.equal(await known.text(), "Payload Too Large\n");
        const stream = new Blob([Buffer.alloc(size)]).stream();
        // `duplex` is asked for by the standard and missing in the types.
        const init = { method: "POST", body: stream, duplex: "half" } as RequestInit;
        assert.equal((await server.fetch("/echo", init)).status, 413);
      }
    });

    await t.test("exactly at the limit they are not, in either framing", async () => {
      const body = randomBytes(limit);
      const response = await server.fetch("/echo", { method: "POST", body });
      assert.equal(digest(new Uint8Array(await response.arrayBuffer())), digest(body));
      const connection = await server.connect();
      connection.send(toHead("/echo", "Transfer-Encoding: chunked"));
      connection.send(Buffer.concat([toChunk(body), Buffer.from("0\r\n\r\n")]));
      assert.equal(digest((await connection.response()).body), digest(body));
    });

    await t.test("by the limit of the handler", async () => {
      for (const [size, status] of [
        [10, 200],
        [11, 413],
      ] as const) {
        const init = { method: "POST", body: Buffer.alloc(size) };
        assert.equal((await server.fetch("/small-bodies", init)).status, status);
      }
      // Names of methods that every JavaScript object has a member of.
      for (const method of ["__proto__", "constructor", "toString"]) {
        const response = await server.fetch("/small-bodies", { method, body: Buffer.alloc(11) });
        assert.equal(response.status, 413, method);
      }
    });

    await t.test("and all workers are as they were", () => {
      assert.deepEqual(
        [...server.workers.keys()].toSorted((a, b) => a - b),
        [1, 2],
      );
    });
  });
});

describe("large responses", { timeout: 600_000 }, () => {
  it("at the same time do not harm each other", async (t) => {
    const handlers = {
      "text.ts": `const page = "x".repeat(8 * 1024 * 1024); export default () => new Response(page);`,
      "bytes.ts": `const page = new Uint8Array(20 * 1024 * 1024); export default () => new Response(page);`,
      "characters.ts": `export default () => new Response("\u20ac".repeat(10 * 1024 * 1024));`,
      "small.ts": `const page = "\u20ac".repeat(20_000); export default () => new Response(page);`,
    };
    const server = await startServer(t, { handlers, workers: 1 });
    const ask = async (path: string, times: number): Promise<string[]> => {
      const client = new HttpClient(t, server.http, { connections: times });
      const requests = Array.from({ length: times }, () => client.request(path));
      const responses = await Promise.all(requests);
      return [...new Set(responses.map(({ status, body }) => `${status} ${body.length}`))];
    };
    const [texts, bytes, characters, small] = await Promise.all([
      ask("/text", 8),
      ask("/bytes", 2),
      ask("/characters", 1),
      ask("/small", 300),
    ]);
    assert.deepEqual([texts, bytes], [[`200 ${8 * MIB}`], [`200 ${20 * MIB}`]]);
    // Three bytes each.
    assert.deepEqual([characters, small], [[`200 ${30 * MIB}`], ["200 60000"]]);
    assert.deepEqual([...server.workers.keys()], [1]);
  });

  it("reach a slow reader complete, while others are served", async () => {
    const server = await shared();
    const size = 10 * MIB;
    const slow = await server.connect();
    slow.socket.pause();
    slow.send(
      `GET /respond?plan=${encodeURIComponent(JSON.stringify({ bytes: size }))} HTTP/1.1\r\nHost: localhost\r\n\r\n`,
    );
    for (let number = 0; number < 50; number++) {
      assert.equal(await (await server.fetch("/")).text(), "hello");
    }
    slow.socket.resume();
    const response = await slow.response();
    assert.equal(digest(response.body), digest(Buffer.alloc(size, "x")));
    // The connection is good for more.
    slow.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert.equal(String((await slow.response()).body), "hello");
  });
});

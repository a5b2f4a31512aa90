import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { openFilesOf, residentBytesOf, socketsOf } from "../helpers/proc.ts";
import { fieldOf } from "../helpers/raw-connection.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const OK = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** For tests that its workers survive. */
const shared = shareServer({ workers: 2, handlers: FIXTURE_HANDLERS });

function toHead(line: string, ...fields: string[]): string {
  return [line, "Host: localhost", ...fields, "", ""].join("\r\n");
}

/** The statuses of all responses in what a connection received. */
function statusesOf(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
}

/** The server answers, with the workers that it started with. */
async function assertUnharmed(server: TestServer): Promise<void> {
  const response = await server.fetch("/");
  assert.deepEqual([response.status, await response.text()], [200, "hello"]);
  assert.deepEqual(
    [...server.workers.keys()].toSorted((a, b) => a - b),
    [1, 2],
  );
}

describe("malformed requests", { timeout: 180_000 }, () => {
  it("are answered with an error, or not at all, and the connection ends", async (t) => {
    const server = await shared();

    // These the library's parser answers only with silence, until its timer of 8 to 12 s closes the connection. They wait
    // beside all others.
    const silent = [
      "GET / HTTP/1.1\r\nHost: localhost\r\nx: a\nx-admin: 1\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\nx: a\r\n folded\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\nx : a\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: localhost\r\nx: a\0b\r\n\r\n",
      "GET / HTTP/1.1\r\n\r\n",
      `hello\r\n\r\n${OK}`,
      toHead("GET / HTTP/1.1", "a(b: 1"),
      "GET / HTTP/1.1\r\nHost: localhost\r\nx: a\rb\r\n\r\n",
      "\r\n\r\nGET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
      "",
      "GET / HTTP/1.1\r\nHost: local",
    ].map(async (bytes) => ({ bytes, text: await server.raw(bytes) }));

    const cases: [name: string, bytes: string, statuses: readonly number[]][] = [
      ["another version", "GET / HTTP/1.0\r\nHost: localhost\r\n\r\n", [505]],
      ["HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", [400, 505]],
      ["absolute form", toHead("GET http://localhost/ HTTP/1.1"), [400, 505]],
      ["asterisk form", toHead("OPTIONS * HTTP/1.1"), [400, 505]],
      ["authority form", toHead("CONNECT localhost:80 HTTP/1.1"), [400, 405, 505]],
      ["two spaces", toHead("GET  / HTTP/1.1"), [400, 505]],
      ["no Host", "GET / HTTP/1.1\r\nx: 1\r\n\r\n", [400]],
      ["an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", [400]],
      ["two Hosts", toHead("GET / HTTP/1.1", "Host: localhost"), [400]],
      ["a Host that is none", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", [400]],
      ["a method that is no token", toHead("G(]T / HTTP/1.1"), [400]],
      ["TRACE", toHead("TRACE / HTTP/1.1"), [405]],
      [
        "two lengths",
        `${toHead("POST /echo HTTP/1.1", "Content-Length: 5", "Content-Length: 5")}hello`,
        [400],
      ],
      [
        "two different lengths",
        `${toHead("POST /echo HTTP/1.1", "Content-Length: 5", "Content-Length: 6")}hello!`,
        [400],
      ],
      ["a list of lengths", `${toHead("POST /echo HTTP/1.1", "Content-Length: 5, 5")}hello`, [400]],
      [
        "a length with a sign",
        `${toHead("POST /echo HTTP/1.1", "Content-Length: +5")}hello`,
        [400],
      ],
      ["a length in hex", `${toHead("POST /echo HTTP/1.1", "Content-Length: 0x5")}hello`, [400]],
      ["a huge length", toHead("POST /echo HTTP/1.1", `Content-Length: ${"9".repeat(30)}`), [400]],
      [
        "a length and a coding",
        `${toHead("POST /echo HTTP/1.1", "Content-Length: 5", "Transfer-Encoding: chunked")}0\r\n\r\n`,
        [400],
      ],
      [
        "another coding",
        `${toHead("POST /echo HTTP/1.1", "Transfer-Encoding: gzip")}0\r\n\r\n`,
        [400],
      ],
      [
        "two codings",
        `${toHead("POST /echo HTTP/1.1", "Transfer-Encoding: gzip, chunked")}0\r\n\r\n`,
        [501],
      ],
      [
        "the coding twice",
        `${toHead("POST /echo HTTP/1.1", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")}0\r\n\r\n`,
        [400],
      ],
      [
        "identity",
        `${toHead("POST /echo HTTP/1.1", "Transfer-Encoding: identity")}0\r\n\r\n`,
        [400],
      ],
      [
        "a chunk without a size",
        `${toHead("POST /echo HTTP/1.1", "Transfer-Encoding: chunked")}zz\r\nhello\r\n0\r\n\r\n`,
        [400],
      ],
    ];
    await t.test("with the right status", async () => {
      const wrong: string[] = [];
      await Promise.all(
        cases.map(async ([name, bytes, statuses]) => {
          const found = statusesOf(await server.raw(bytes));
          if (found.length !== 1 || !statuses.includes(found[0] ?? 0))
            wrong.push(`${name}: ${found.join(", ")}`);
        }),
      );
      assert.deepEqual(wrong, []);
      await assertUnharmed(server);
    });

    await t.test("and with the methods there are, where it is the method", async () => {
      assert.match(await server.raw(toHead("TRACE / HTTP/1.1")), /\r\nallow: GET, HEAD, POST, /i);
    });

    await t.test("and what follows in the same breath is never taken for a request", async () => {
      const wrong: string[] = [];
      const smuggled = toHead("GET /token?token=smuggled HTTP/1.1");
      const tokens = (): number =>
        server.accessLines.filter(({ path }) => path === "/token").length;
      const before = tokens();
      await Promise.all(
        cases.map(async ([name, bytes]) => {
          const text = await server.raw(bytes + smuggled);
          if (text.includes("smuggled") || statusesOf(text).length > 1) wrong.push(name);
        }),
      );
      assert.deepEqual(wrong, []);
      assert.equal(tokens(), before);
      await assertUnharmed(server);
    });

    await t.test("a megabyte of header", async () => {
      for (const bytes of [
        toHead("GET / HTTP/1.1", `x: ${"y".repeat(1024 * 1024)}`),
        toHead(`GET /${"y".repeat(1024 * 1024)} HTTP/1.1`),
        toHead(
          "GET / HTTP/1.1",
          ...Array.from({ length: 50_000 }, (_, number) => `x-${number}: 1`),
        ),
        toHead("GET / HTTP/1.1", ...Array.from({ length: 150 }, (_, number) => `x-${number}: 1`)),
      ]) {
        const found = statusesOf(await server.raw(bytes));
        assert.ok(found.length === 0 || (found.length === 1 && found[0] === 431), found.join(", "));
        await assertUnharmed(server);
      }
    });

    await t.test("random bytes, and valid requests with some of them changed", async () => {
      const valid = Buffer.from(
        `${toHead("POST /echo HTTP/1.1", "Content-Length: 5", "Connection: close")}hello`,
      );
      // A fixed sequence (Knuth's LCG), so that a failure can be seen again.
      let state = 7;
      const random = (below: number): number => {
        state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
        return state % below;
      };
      const connections = await Promise.all(
        Array.from({ length: 300 }, async (_, number) => {
          const bytes = number % 3 === 0 ? Buffer.alloc(1 + random(200)) : Buffer.from(valid);
          const changes = number % 3 === 0 ? bytes.length : 1 + random(4);
          for (let change = 0; change < changes; change++)
            bytes[random(bytes.length)] = random(256);
          const connection = await server.connect();
          await connection.sent(bytes);
          return connection;
        }),
      );
      await assertUnharmed(server);
      for (const connection of connections) connection.destroy();
      await assertUnharmed(server);
    });

    await t.test("those that get no answer are closed all the same", async () => {
      for (const { bytes, text } of await Promise.all(silent)) {
        const found = statusesOf(text);
        const name = JSON.stringify(bytes);
        const isRight = found.length === 1 && (found[0] === 400 || found[0] === 408);
        assert.ok(found.length === 0 || isRight, `${name}: ${text}`);
      }
      await assertUnharmed(server);
    });
  });
});

describe("paths", { timeout: 300_000 }, () => {
  it("that lead nowhere are 404, and those out of the public folder too", async (t) => {
    const server = await startServer(t, {
      workers: 2,
      handlers: { "index.ts": `export default () => new Response("hello")` },
      public: { "page.txt": "page", "dir/inner.txt": "inner", ".env": "SECRET" },
    });
    const ask = async (target: string): Promise<{ status: number; body: string }> => {
      const connection = await server.connect();
      connection.send(toHead(`GET ${target} HTTP/1.1`));
      const { status, body } = await connection.response();
      connection.destroy();
      return { status, body: body.toString("latin1") };
    };
    const found = [
      "/page.txt",
      "/dir/../page.txt",
      "/dir/%2e%2e/page.txt",
      "/./page.txt",
      "/page%2etxt",
    ];
    for (const target of found)
      assert.deepEqual(await ask(target), { status: 200, body: "page" }, target);

    const missing = [
      "/nothing",
      "/handlers/index.ts",
      "/../handlers/index.ts",
      "/..%2fhandlers%2findex.ts",
      "/%2e%2e/handlers/index.ts",
      "/%2e%2e%2fhandlers/index.ts",
      "/dir/../../handlers/index.ts",
      "/dir/..%2f..%2fhandlers/index.ts",
      "/..\\handlers\\index.ts",
      "/%5c..%5chandlers%5cindex.ts",
      "/dir%2finner.txt",
      "/dir%5cinner.txt",
      "/....//handlers/index.ts",
      "/%252e%252e/handlers/index.ts",
      "/..;/handlers/index.ts",
      "//etc/passwd",
      "/../../../../../../../../etc/passwd",
      "/..%2f..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
      "/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
      "/..%c0%af..%c0%afetc/passwd",
      "/%c0%ae%c0%ae/handlers/index.ts",
      "/page.txt%00",
      "/page.txt%00.html",
      "/page.txt/",
      "/page.txt/..%2f",
      "/.env",
      "/%2eenv",
      "/dir/../.env",
      "/%",
      "/%zz",
      "/%ff",
    ];
    for (const target of missing) {
      const { status, body } = await ask(target);
      assert.ok(status === 404 || status === 400, `${target}: ${status}`);
      assert.doesNotMatch(body, /SECRET|root:|hello|page|inner|export/, target);
    }
    assert.deepEqual(
      [...server.workers.keys()].toSorted((a, b) => a - b),
      [1, 2],
    );
    assert.deepEqual(await ask("/"), { status: 200, body: "hello" });
  });
});

describe("handlers that fail", { timeout: 300_000 }, () => {
  it("are answered with 500 that tells nothing, and harm nobody else", async (t) => {
    const server = await shared();
    const failing = [
      "throws",
      "throws-text",
      "throws-nothing",
      "rejects",
      "returns-nothing",
      "returns-text",
      "returns-object",
    ];
    for (const name of failing) {
      await t.test(name, async () => {
        const response = await server.fetch(`/${name}`);
        assert.equal(response.status, 500);
        const text = await response.text();
        assert.doesNotMatch(text + JSON.stringify([...response.headers]), /secret|\.ts|at \w/);
        const posted = await server.fetch(`/${name}`, { method: "POST", body: "x" });
        assert.equal(posted.status, 500);
        const head = await server.fetch(`/${name}`, { method: "HEAD" });
        assert.equal(head.status, 500);
        const line = await server.until(
          (entry) => entry["level"] === "error" && JSON.stringify(entry).includes(`${name}.ts`),
        );
        assert.equal(typeof line["requestId"], "string");
        await assertUnharmed(server);
      });
    }

    await t.test("a body that fails half-way, which no client takes for the whole", async () => {
      const folder = temporaryFolder(t);
      for (const method of ["GET", "POST"]) {
        const path = join(folder, method);
        const headers = { "x-after": path };
        const response = await server.fetch("/breaks-its-stream", { method, headers });
        assert.equal(response.status, 200);
        // The head comes with the first chunk: now the rest may fail.
        writeFileSync(path, "");
        await assert.rejects(response.text(), TypeError);
        // The first chunk has mostly not left when the body fails. A worker that was interrupted may have sent it.
        const told = await server.fetch("/breaks-its-stream", { method });
        if (told.status === 200) await assert.rejects(told.text(), TypeError);
        else assert.deepEqual([told.status, await told.text()], [500, "Internal Server Error\n"]);
      }
      const connection = await server.connect();
      const path = join(folder, "raw");
      connection.send(toHead("GET /breaks-its-stream HTTP/1.1", `x-after: ${path}`));
      await connection.response({ head: true });
      assert.equal(String(await connection.chunk()), "first");
      writeFileSync(path, "");
      const text = await connection.untilClosed();
      assert.doesNotMatch(text, /secret|\r\n0\r\n/);
      await server.until((entry) => JSON.stringify(entry).includes("breaks-its-stream.ts"));
      await assertUnharmed(server);
    });

    await t.test("a response whose body was sent already", async () => {
      assert.equal(await (await server.fetch("/used-twice")).text(), "only once");
      const again = await Promise.all(Array.from({ length: 6 }, () => server.fetch("/used-twice")));
      for (const response of again) {
        const text = await response.text();
        assert.ok(response.status === 500 || text === "only once", `${response.status} ${text}`);
      }
      await assertUnharmed(server);
    });

    await t.test("a rejection that nobody waits for", async () => {
      assert.equal(await (await server.fetch("/rejects-elsewhere")).text(), "answered");
      await server.until(({ msg }) => msg === "unhandled rejection in a handler");
      await assertUnharmed(server);
    });
  });

  it("or exit, are answered with 502, and the worker is replaced", async (t) => {
    const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS });
    assert.equal((await server.fetch("/exits")).status, 502);
    await server.until(({ msg, workerId }) => msg === "worker ready" && workerId === 3);
    assert.equal(await (await server.fetch("/")).text(), "hello");
  });

  it("or take longer than the timeout, are answered with 504 and told to stop", async (t) => {
    const handlers = {
      "index.ts": `export default () => new Response("hello");`,
      "late.ts": `export const config = { timeoutMs: 100 };
        export default (request, { log }) => {
          request.signal.addEventListener("abort", () => log.info({ reason: request.signal.reason.name }, "aborted"));
          return new Promise(() => {});
        };`,
    };
    const server = await startServer(t, { workers: 2, handlers });
    assert.equal((await server.fetch("/late")).status, 504);
    const { reason } = await server.until(({ msg }) => msg === "aborted");
    assert.equal(reason, "TimeoutError");
    await assertUnharmed(server);
  });
});

describe("clients that leave", { timeout: 300_000 }, () => {
  it("abort the signal of their handler, however they leave", async () => {
    const server = await shared();
    const leave = {
      closed: (connection) => connection.destroy(),
      reset: (connection) => connection.reset(),
      "half-closed": (connection) => connection.socket.end(),
      pipelined: (connection) => connection.send(OK),
    } satisfies Record<string, (connection: Awaited<ReturnType<TestServer["connect"]>>) => void>;
    for (const [how, go] of Object.entries(leave)) {
      const path = `/never-answers?${how}`;
      const connection = await server.connect();
      connection.send(toHead(`GET ${path} HTTP/1.1`));
      await server.until(({ msg, path: began }) => msg === "began" && began === path);
      go(connection);
      const line = await server.until(
        ({ msg, path: aborted }) => msg === "aborted" && aborted === path,
      );
      assert.equal(line["reason"], "AbortError");
      assert.equal(await connection.untilClosed(), "");
      await assertUnharmed(server);
    }
  });

  it("leave nothing behind: no socket, no place in a worker", async (t) => {
    const server = await shared();
    const before = socketsOf(server.pid);
    for (let round = 0; round < 5; round++) {
      const connections = await Promise.all(Array.from({ length: 40 }, () => server.connect()));
      for (const connection of connections) connection.send(toHead("GET /never-answers HTTP/1.1"));
      const count = (round + 1) * connections.length;
      const told = (what: string): number =>
        server.logs.filter(({ msg, path }) => msg === what && path === "/never-answers").length;
      await eventually(t, () => told("began") >= count);
      for (const connection of connections) connection.destroy();
      await eventually(t, () => told("aborted") >= count);
    }
    await eventually(t, () => socketsOf(server.pid) <= before);
    await assertUnharmed(server);
  });

  it("cost little when they ask much and take nothing", async (t) => {
    const server = await startServer(t, {
      workers: 2,
      handlers: FIXTURE_HANDLERS,
      flags: ["--access-log", "off"],
      public: { "page.txt": "x".repeat(5_000) },
    });
    // From now on it is in memory, and answered at once.
    for (let round = 0; round < 3; round++) await (await server.fetch("/page.txt")).text();
    const before = residentBytesOf(server.pid);
    // By the names of the sockets: others of earlier requests may be closed meanwhile.
    const earlier = new Set(openFilesOf(server.pid));
    const isConnected = (): boolean =>
      openFilesOf(server.pid).some((file) => file.startsWith("socket:") && !earlier.has(file));
    const connection = await server.connect();
    connection.socket.pause();
    await eventually(t, isConnected);
    // 100 times 5 MB of answers.
    const requests = toHead("GET /page.txt HTTP/1.1").repeat(1_000);
    for (let round = 0; round < 100; round++) connection.send(requests);
    connection.send(toHead("GET /never-answers HTTP/1.1"));
    // Either all of them were read, or the server has closed the connection, which this end does not see.
    const isOver = (): boolean => !isConnected() || server.logs.some(({ msg }) => msg === "began");
    await eventually(t, isOver);
    const grownMib = (residentBytesOf(server.pid) - before) / 1024 ** 2;
    assert.ok(grownMib < 64, `${Math.round(grownMib)} MiB more`);
  });

  it("close the connection by sending the next request before the answer, and no other", async () => {
    const server = await shared();
    // Known limit of the library: it cannot hold a second request back.
    const text = await server.raw(toHead("GET /token?token=a&delay=20 HTTP/1.1") + OK);
    assert.ok(statusesOf(text).length <= 2, text);
    await assertUnharmed(server);
    const connection = await server.connect();
    for (let number = 0; number < 20; number++) {
      connection.send(toHead(`GET /token?token=${number} HTTP/1.1`));
      const response = await connection.response();
      assert.equal(fieldOf(response, "x-token"), String(number));
    }
  });
});

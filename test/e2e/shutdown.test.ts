import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { withLongerLimits } from "../helpers/longer-limits.ts";
import { fieldOf, type RawConnection } from "../helpers/raw-connection.ts";
import { spawnServer, startServer, type TestServer } from "../helpers/start-server.ts";

const GET = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";

/** A request whose handler has begun, and what lets it answer. */
interface Held {
  connection: RawConnection;
  release: () => void;
}

async function holdRequest(server: TestServer, name: string): Promise<Held> {
  const file = `${server.dir}/${name}`;
  const connection = await server.connect();
  connection.send(`GET /waits-for-file?file=${file} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  await server.until((line) => line.msg === "began" && line["file"] === file);
  return { connection, release: () => writeFileSync(file, "") };
}

function untilStopping(server: TestServer): Promise<unknown> {
  return server.until(({ msg }) => msg?.startsWith("stopping") === true);
}

/** Whether the port takes connections; one that is closed at once, without a byte, was still in the queue. */
async function isAccepting(server: TestServer): Promise<boolean> {
  try {
    const connection = await server.connect();
    connection.send(GET);
    return (await connection.untilClosed()) !== "";
  } catch {
    return false;
  }
}

describe("SIGTERM", { timeout: 180_000 }, () => {
  it("ends a server that has nothing to do, with exit code 0", async (t) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) {
      const server = await startServer(t, {
        workers: 2,
        handlers: FIXTURE_HANDLERS,
        https: true,
        // The drain follows after the delay.
        flags: signal === "SIGINT" ? ["--shutdown-delay", "20ms"] : [],
      });
      const idle = await server.connect();
      idle.send(GET);
      await idle.response();
      server.kill(signal);
      assert.deepEqual(await server.exit, { code: 0, signal: null });
      assert.equal(await idle.untilClosed(), "");
    }
  });

  it("answers what is in flight, takes no connections, then exits with 0", async (t) => {
    const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS });
    const held = await holdRequest(server, "go");
    const idle = await server.connect();
    const busy = await server.connect();
    for (const connection of [idle, busy]) {
      connection.send(GET);
      await connection.response();
    }
    server.kill("SIGTERM");
    await untilStopping(server);
    assert.equal(await isAccepting(server), false);

    // A connection that lives is answered once more and told that this was the last.
    busy.send(GET);
    const last = await busy.response();
    assert.deepEqual([last.status, String(last.body)], [200, "hello"]);
    assert.equal(fieldOf(last, "connection"), "close");
    assert.equal(await busy.untilClosed(), "");

    held.release();
    const answer = await held.connection.response();
    assert.equal(answer.status, 200);
    assert.match(String(answer.body), /is there$/);
    assert.equal(await held.connection.untilClosed(), "");
    assert.equal(await idle.untilClosed(), "");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    // The last access lines are there, too.
    assert.equal(server.accessLines.filter(({ status }) => status === 200).length, 4);
  });

  it("answers a kept connection once more, also without a body", async (t) => {
    const server = await startServer(t, {
      handlers: FIXTURE_HANDLERS,
      public: { "page.txt": "hello", "folder/index.html": "folder" },
    });
    const held = await holdRequest(server, "go");
    const seen = "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT";
    const cases = [
      ["HEAD /page.txt HTTP/1.1", 200],
      [`GET /page.txt HTTP/1.1\r\n${seen}`, 304],
      ["GET /folder HTTP/1.1", 301],
      ["HEAD /none HTTP/1.1", 404],
    ] as const;
    const open = await Promise.all(
      cases.map(async ([head, status]) => {
        const connection = await server.connect();
        connection.send("GET /page.txt HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert.equal((await connection.response()).status, 200);
        return { connection, head, status };
      }),
    );
    server.kill("SIGTERM");
    await untilStopping(server);
    for (const { connection, head, status } of open) {
      connection.send(`${head}\r\nHost: localhost\r\n\r\n`);
      const last = await connection.response({ head: true });
      assert.deepEqual([last.status, fieldOf(last, "connection")], [status, "close"], head);
      assert.equal(await connection.untilClosed(), "");
    }
    held.release();
    assert.equal((await held.connection.response()).status, 200);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("lets a slow sender finish its request", async (t) => {
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS });
    const held = await holdRequest(server, "go");
    const sender = await server.connect();
    await sender.sent("POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nfirst");
    // The server has seen the start of it once it answers what came later.
    await (await server.fetch("/")).text();
    server.kill("SIGTERM");
    await untilStopping(server);
    held.release();
    assert.equal((await held.connection.response()).status, 200);
    sender.send("-last");
    assert.equal(String((await sender.response()).body), "first-last");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("lets a slow reader have the rest of its answer", async (t) => {
    const server = await startServer(t, {
      handlers: FIXTURE_HANDLERS,
      public: { "big.bin": Buffer.alloc(20_000_000, 7) },
    });
    const plan = encodeURIComponent(JSON.stringify({ bytes: 20_000_000 }));
    const connections: RawConnection[] = [];
    for (const path of [`/respond?plan=${plan}`, "/big.bin"]) {
      const connection = await server.connect();
      connection.send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
      // It has begun; no more is taken until the server is about to stop.
      await eventually(t, () => connection.socket.bytesRead > 0);
      connection.socket.pause();
      connections.push(connection);
    }
    server.kill("SIGTERM");
    await untilStopping(server);
    for (const connection of connections) {
      connection.socket.resume();
      assert.equal((await connection.response()).body.length, 20_000_000);
    }
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("to the whole process group is the same as to the primary", async (t) => {
    // Ctrl+C on a terminal does this.
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS });
    const held = await holdRequest(server, "go");
    process.kill(-server.pid, "SIGINT");
    await untilStopping(server);
    held.release();
    assert.equal((await held.connection.response()).status, 200);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("waits for what handlers left to waitUntil()", async (t) => {
    const handlers = {
      "index.ts": `
        export default (_request, { log, waitUntil }) => {
          waitUntil(new Promise((resolve) => setTimeout(resolve, 200)).then(() => log.info("written")));
          return new Response("hello");
        }`,
    };
    const server = await startServer(t, { handlers });
    await (await server.fetch("/")).text();
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.ok(server.logs.some(({ msg }) => msg === "written"));
  });

  it("names the routes of waitUntil() that take longer than the grace, and lets handlers end", async (t) => {
    const handlers = {
      "index.ts": `
        let log;
        export default (_request, context) => {
          log = context.log;
          context.waitUntil(new Promise(() => {}));
          context.waitUntil(Promise.resolve());
          return new Response("hello");
        };
        export const dispose = () => log.info("dispose ran");`,
    };
    const lines = await withLongerLimits(
      async (grace) => {
        const server = await startServer(t, { handlers, flags: ["--drain-grace", grace] });
        await (await server.fetch("/")).text();
        server.kill("SIGTERM");
        assert.deepEqual(await server.exit, { code: 0, signal: null });
        return server.logs;
      },
      (found) => found.some(({ msg }) => msg === "dispose ran"),
    );
    const cut = lines.find(({ msg }) => msg?.startsWith("waitUntil() promises cut off"));
    assert.deepEqual(
      [cut?.["level"], cut?.["promises"], cut?.["routes"]],
      ["error", 1, { "/": 1 }],
    );
    assert.ok(lines.some(({ msg }) => msg === "dispose ran"));
  });

  it("cuts off what takes longer than the grace, with 503, says so by its setting, and exits with 0", async (t) => {
    const flags = ["--drain-grace", "200ms"];
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, flags });
    const connection = await server.connect();
    connection.send("GET /never-answers HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await server.until(({ msg }) => msg === "began");
    server.kill("SIGTERM");
    assert.equal((await connection.response()).status, 503);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    const [line] = server.accessLines;
    assert.deepEqual([line?.["status"], line?.["limit"]], [503, "drainGrace"]);
    const warning = server.logs.find(({ setting }) => setting === "drainGrace");
    assert.equal(warning?.["exchanges"], 1);
    assert.deepEqual(warning["first"], {
      requestId: line?.["requestId"],
      route: "/never-answers",
      handler: join(FIXTURE_HANDLERS, "never-answers.ts"),
      method: "GET",
      path: "/never-answers",
    });
    assert.ok(server.logs.some(({ msg }) => msg === "stopped"));
  });

  it("cuts off a client that reads for longer than the grace, and says so by its setting", async (t) => {
    const server = await startServer(t, {
      handlers: FIXTURE_HANDLERS,
      public: { "big.bin": Buffer.alloc(20_000_000) },
      flags: ["--drain-grace", "200ms"],
    });
    const connection = await server.connect();
    connection.send("GET /big.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
    // It takes no more than that, however late this process is.
    await once(connection.socket, "data");
    connection.socket.pause();
    server.kill("SIGTERM");
    assert.deepEqual(await server.exit, { code: 0, signal: null });
    assert.equal(server.accessLines[0]?.["limit"], "drainGrace");
    const warning = server.logs.find(({ setting }) => setting === "drainGrace");
    assert.equal(warning?.["clients"], 1);
  });

  it("twice at once is once", async (t) => {
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS });
    const held = await holdRequest(server, "go");
    // Both npm and the terminal pass a signal on. The server gets both at once, however late this process sends the second.
    server.kill("SIGSTOP");
    server.kill("SIGTERM");
    server.kill("SIGINT");
    server.kill("SIGCONT");
    await untilStopping(server);
    held.release();
    assert.equal((await held.connection.response()).status, 200);
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("a second time ends everything at once, with the exit code of the signal", async (t) => {
    for (const [signal, code] of [
      ["SIGTERM", 143],
      ["SIGINT", 130],
    ] as const) {
      const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS });
      const held = await holdRequest(server, "never");
      server.kill(signal);
      await untilStopping(server);
      // The one wait in these tests: a second signal within 100 ms is taken for the first.
      await delay(150);
      server.kill(signal);
      assert.deepEqual(await server.exit, { code, signal: null });
      assert.equal(await held.connection.untilClosed(), "");
    }
  });

  it("while it starts leaves nothing behind", async (t) => {
    const handlers = { "index.ts": `console.error("loading"); await new Promise(() => {});` };
    const server = spawnServer(t, { handlers });
    await server.until(({ msg }) => msg === "loading");
    server.kill("SIGTERM");
    const { code, signal } = await server.exit;
    assert.ok(signal === "SIGTERM" || code === 0 || code === 143, `${code} ${signal}`);
  });
});

describe("SIGKILL of the primary", { timeout: 300_000 }, () => {
  it("leaves no worker behind, not even a busy one", async (t) => {
    const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS });
    const held = await holdRequest(server, "never");
    const pids = [...server.workers.values()];
    assert.equal(pids.length, 2);
    server.kill("SIGKILL");
    // Only once the last process has closed its log; `startServer` asserts that none is left.
    assert.deepEqual(await server.exit, { code: null, signal: "SIGKILL" });
    assert.equal(await held.connection.untilClosed(), "");
  });
});

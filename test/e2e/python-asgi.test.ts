import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { withLongerLimits } from "../helpers/longer-limits.ts";
import { assertBrokenOff, startPythonServer } from "../helpers/python-server.ts";
import { skipWithoutPython } from "../helpers/python.ts";
import type { LogLine, TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";

const skip = skipWithoutPython();

function has(text: string): (line: LogLine) => boolean {
  return ({ msg }) => msg?.includes(text) === true;
}

describe("an ASGI application", { timeout: 180_000, skip }, () => {
  const owner = new SuiteOwner();
  let server: TestServer;

  before(async () => {
    const flags = ["--body-limit", "8mb"];
    server = await startPythonServer(owner, { app: "asgi_behaviours:app", flags });
  });
  after(() => owner.end());

  async function ask(path: string, init?: RequestInit): Promise<[number, string]> {
    const response = await server.fetch(path, init);
    return [response.status, await response.text()];
  }

  it("has a complete scope, and the state of its lifespan", async () => {
    const forged = { "x-forwarded-proto": "https", "x-forwarded-for": "192.0.2.7" };
    const [status, text] = await ask("/scope/%C3%A9%2Fx?a=%20b", {
      headers: { "x-a": "1", ...forged },
    });
    assert.equal(status, 200);
    const scope = JSON.parse(text) as Record<string, unknown>;
    const headers = new Map(scope["headers"] as [string, string][]);
    for (const name of Object.keys(forged)) assert.equal(headers.has(name), false, name);
    assert.deepEqual(
      { ...scope, headers: [headers.get("host"), headers.get("x-a")] },
      {
        type: "http",
        asgi: { version: "3.0", spec_version: "2.3" },
        http_version: "1.1",
        server: ["127.0.0.1", server.port("http")],
        client: ["127.0.0.1", 0],
        scheme: "http",
        method: "GET",
        root_path: "",
        path: "/scope/é/x",
        raw_path: "/scope/%C3%A9%2Fx",
        extensions: { "http.response.pathsend": {} },
        query_string: "a=%20b",
        headers: [`127.0.0.1:${server.port("http")}`, "1"],
        state: { greeting: "from the lifespan" },
      },
    );
  });

  const rows: [title: string, path: string, init: RequestInit, status: number, body: string][] = [
    ["a small body", "/count", { method: "POST", body: "hello" }, 200, "5 bytes"],
    [
      "a large body",
      "/count",
      { method: "POST", body: "x".repeat(4_000_000) },
      200,
      "4000000 bytes",
    ],
    ["a stream", "/stream?200", {}, 200, `${"x".repeat(2_000_000)}end`],
    ["HEAD of a stream", "/stream?20", { method: "HEAD" }, 200, ""],
    ["a failure", "/boom", {}, 500, "Internal Server Error\n"],
    ["no answer", "/nothing", {}, 500, "Internal Server Error\n"],
    ["no such view", "/other", {}, 404, "not found"],
  ];
  for (const [title, path, init, status, body] of rows) {
    it(`answers ${title}`, async () => assert.deepEqual(await ask(path, init), [status, body]));
  }

  it("has its text compressed, whole and in pieces, and finds its own tags in conditions", async () => {
    const headers = {
      "accept-encoding": "br, gzip",
      "if-none-match": 'W/"v1-gzip"',
      "x-long": "x".repeat(2_000),
    };
    const whole = await server.fetch("/scope", { headers });
    assert.equal(whole.headers.get("content-encoding"), "gzip");
    assert.match(await whole.text(), /"if-none-match", "\\"v1\\""/);
    const stream = await server.fetch("/stream-text?5", { headers });
    assert.equal(stream.headers.get("content-encoding"), "gzip");
    assert.equal(stream.headers.get("etag"), 'W/"v1-gzip"');
    assert.equal(await stream.text(), `${"x".repeat(500_000)}end`);
  });

  it("has context variables of its own in each request", async () => {
    for (let turn = 0; turn < 2; turn++) {
      assert.deepEqual(await ask("/context"), [200, "nothing, its own; nothing of the lifespan"]);
    }
  });

  it("answers many requests at a time", async () => {
    // None of them is answered before all are with the application.
    const answers = Array.from({ length: 50 }, () => ask("/meet?50"));
    for (const answer of answers) assert.deepEqual(await answer, [200, "met"]);
  });

  it("breaks off a response that fails", async () => {
    await assertBrokenOff(server);
    await server.until(has("application failed: ValueError: boom late"));
  });

  it("ignores the signals of a terminal, which are for the primary", async () => {
    const [, pid] = await ask("/pid");
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const) {
      process.kill(Number(pid), signal);
      assert.deepEqual(await ask("/pid"), [200, pid], signal);
    }
  });

  it("is told when the client leaves", async () => {
    const connection = await server.connect();
    connection.send("GET /disconnect HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await connection.bytes(100);
    connection.destroy();
    await server.until(has("received http.disconnect"));
    await server.until(has("send raised OSError"));
  });
});

// Both tests wait most of their time.
describe("an ASGI application in trouble", { timeout: 180_000, skip, concurrency: true }, () => {
  it("that blocks its event loop is named by line, killed and replaced", async (t) => {
    // A busy machine keeps a worker silent for a second, and has to find the line before the worker is killed.
    const flags = ["--hang-timeout", "8s", "--block-warn", "2s", "--request-timeout", "60s"];
    const server = await startPythonServer(t, { app: "asgi_behaviours:app", flags });
    const answer = server.fetch("/block", { method: "POST" });
    const blocked = await server.until(has("worker is blocked"));
    assert.match(String(blocked["blockedAt"]), /asgi_behaviours\.py:\d+$/);
    const hung = await server.until(has("worker hangs"));
    assert.match(String(hung["blockedAt"]), /asgi_behaviours\.py:\d+$/);
    assert.equal((await answer).status, 502);
    assert.equal((await server.fetch("/pid")).status, 200);
    // A worker ends with its primary: the end of the test sees that none survives.
    server.kill("SIGKILL");
    assert.equal((await server.exit).signal, "SIGKILL");
  });

  it("ends its streams and runs the shutdown of its lifespan when the server stops", async (t) => {
    // The application has a tenth of it, which is a second, to end after its streams are cut.
    const flags = ["--drain-grace", "10s"];
    const server = await startPythonServer(t, { app: "asgi_behaviours:app", flags });
    const stream = await server.connect();
    stream.send("GET /disconnect HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await stream.bytes(100);
    server.kill("SIGTERM");
    await server.until(has("received http.disconnect"));
    await server.until(has("lifespan shutdown ran"));
    assert.deepEqual(await server.exit, { code: 0, signal: null });
  });

  it("ends its streams, its lifespan and its process in order when its worker is recycled", async (t) => {
    const { lines, response } = await withLongerLimits(
      async (grace) => {
        const limits = ["--drain-grace", grace, "--request-timeout", grace];
        const flags = ["--max-requests-per-worker", "1", "--max-requests-jitter", "0", ...limits];
        const server = await startPythonServer(t, { app: "asgi_behaviours:app", flags });
        const stream = await server.connect();
        const fields = "Host: localhost\r\nConnection: close\r\n";
        stream.send(`GET /disconnect HTTP/1.1\r\n${fields}\r\n`);
        await server.until(has("worker exited"));
        return { lines: server.logs, response: await stream.untilClosed() };
      },
      // A slow machine may answer 504.
      (found) =>
        /begun/.test(found.response) &&
        found.lines.some(({ msg, code }) => msg === "worker exited" && code === 0),
    );
    assert.match(response, /begun/);
    const ends = [
      "requests cut off: their worker is replaced, and they took longer",
      "received http.disconnect",
      "send raised OSError",
      "lifespan shutdown ran",
      "atexit ran",
    ];
    const texts = lines.map(({ msg = "" }) => msg);
    assert.deepEqual(
      texts.filter((msg) => ends.includes(msg)),
      ends,
    );
    const exited = lines.find(({ msg }) => msg === "worker exited");
    assert.deepEqual([exited?.["workerId"], exited?.["cause"]], [1, "retired"]);
  });
});

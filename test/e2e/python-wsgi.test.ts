import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { withLongerLimits } from "../helpers/longer-limits.ts";
import { assertBrokenOff, PYTHON_FIXTURES, startPythonServer } from "../helpers/python-server.ts";
import { skipWithoutPython } from "../helpers/python.ts";
import type { LogLine, TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";

const skip = skipWithoutPython();

function has(text: string): (line: LogLine) => boolean {
  return ({ msg }) => msg?.includes(text) === true;
}

/** The environment variable says which codec the worker uses. */
for (const [codec, env] of [
  ["of the package msgpack, where there is one", {}],
  ["of Edgicorn", { SMALL_MSGPACK: "1" }],
] as const) {
  describe(`a WSGI application, codec ${codec}`, { timeout: 180_000, skip }, () => {
    const owner = new SuiteOwner();
    let server: TestServer;

    before(async () => {
      const flags = ["--body-limit", "8mb"];
      server = await startPythonServer(owner, { app: "validated:app", env, flags });
    });
    after(() => owner.end());

    async function ask(path: string, init?: RequestInit): Promise<[number, string]> {
      const response = await server.fetch(path, init);
      return [response.status, await response.text()];
    }

    it("has its text compressed, piece by piece where it comes so", async () => {
      for (const [path, init, expected] of [
        ["/echo", { method: "POST", body: "text ".repeat(1_000) }, "text ".repeat(1_000)],
        ["/pieces?3", {}, "0;1;2;"],
      ] as const) {
        const headers = { "accept-encoding": "gzip, br" };
        const response = await server.fetch(path, { ...init, headers });
        assert.equal(response.headers.get("content-encoding"), "gzip", path);
        assert.equal(response.headers.get("vary"), "accept-encoding");
        assert.equal(await response.text(), expected);
      }
      const plain = await server.raw(
        "GET /pieces?3 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
      );
      assert.match(plain, /\r\nvary: accept-encoding\r\n/i);
      assert.ok(!/content-encoding/i.test(plain));
    });

    it("has a complete environ", async () => {
      const raw = [
        "GET /environ/%C3%A9%2Fx;v=1?a=%20b&c HTTP/1.1",
        `Host: localhost:${server.port("http")}`,
        "X-Twice: 1",
        "X-Twice: 2",
        "Cookie: a=1",
        "Cookie: b=2",
        "X_Under: forged",
        // No proxy is trusted: these change nothing.
        "X-Forwarded-Proto: https",
        "X-Forwarded-For: 192.0.2.7",
        "X-Forwarded-Host: forged.example",
        "X-Edgicorn-User: forged",
        "Accept: text/plain",
        "Connection: close",
      ];
      const answer = await server.raw(`${raw.join("\r\n")}\r\n\r\n`);
      const environ = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n") + 4)) as Record<
        string,
        unknown
      >;
      assert.deepEqual(environ, {
        GATEWAY_INTERFACE: "CGI/1.1",
        HTTP_ACCEPT: "text/plain",
        HTTP_COOKIE: "a=1; b=2",
        HTTP_HOST: `localhost:${server.port("http")}`,
        HTTP_X_TWICE: "1,2",
        // Bytes as latin-1, as PEP 3333 has it.
        PATH_INFO: "/environ/\u00c3\u00a9/x;v=1",
        QUERY_STRING: "a=%20b&c",
        RAW_URI: "/environ/%C3%A9%2Fx;v=1?a=%20b&c",
        REMOTE_ADDR: "127.0.0.1",
        REQUEST_METHOD: "GET",
        REQUEST_URI: "/environ/%C3%A9%2Fx;v=1?a=%20b&c",
        SCRIPT_NAME: "",
        SERVER_NAME: "localhost",
        SERVER_PORT: String(server.port("http")),
        SERVER_PROTOCOL: "HTTP/1.1",
        SERVER_SOFTWARE: "edgicorn",
        "wsgi.input_terminated": true,
        "wsgi.multiprocess": true,
        "wsgi.multithread": false,
        "wsgi.run_once": false,
        "wsgi.url_scheme": "http",
        "wsgi.version": [1, 0],
      });
      await server.until(has("field x_under of a request left out"));
    });

    const rows: [title: string, path: string, init: RequestInit, status: number, body: string][] = [
      ["a body", "/echo", { method: "POST", body: "hello" }, 200, "hello"],
      ["no body", "/echo", { method: "POST" }, 200, ""],
      [
        "lines of a body",
        "/lines",
        { method: "POST", body: "a\nbcd\ne" },
        200,
        "[b'a\\n', b'bc', [b'd\\n', b'e']]",
      ],
      [
        "lines of a streamed body",
        "/lines",
        { method: "POST", body: `a\n${"b".repeat(100_000)}\n` },
        200,
        "",
      ],
      [
        "a large body",
        "/count",
        { method: "POST", body: "x".repeat(3_000_000) },
        200,
        "3000000 of 3000000",
      ],
      ["pieces", "/pieces?3", {}, 200, "0;1;2;"],
      ["no piece", "/pieces?0", {}, 200, ""],
      ["a late start_response", "/late", {}, 201, "late"],
      ["write()", "/write", {}, 200, "one two three"],
      ["a large response", "/big?3000000", {}, 200, "x".repeat(3_000_000)],
      ["exc_info before the first byte", "/exc-info", {}, 503, "replaced"],
      ["a failure", "/boom", {}, 500, "Internal Server Error\n"],
      ["a body longer than it says", "/long", {}, 200, "long"],
      ["a field that splits the response", "/split", {}, 500, "Internal Server Error\n"],
      ["fields that are too long", "/wide", {}, 500, "Internal Server Error\n"],
      ["no such view", "/nothing", {}, 404, "not found"],
      ["HEAD", "/big?3000000", { method: "HEAD" }, 200, ""],
      ["HEAD of pieces", "/pieces?3", { method: "HEAD" }, 200, ""],
      ["PUT", "/echo", { method: "PUT", body: "é" }, 200, "é"],
    ];
    for (const [title, path, init, status, body] of rows) {
      it(`answers ${title}`, async () => {
        const [found, text] = await ask(path, init);
        assert.equal(found, status);
        if (title === "lines of a streamed body")
          assert.match(text, /^\[b'a\\n', b'bb', \[b'b{99998}\\n'\]\]$/);
        else assert.equal(text, body);
      });
    }

    it("gives a chunked body its length", async () => {
      const body = new ReadableStream({
        start(controller) {
          for (let number = 0; number < 10; number++) controller.enqueue(new Uint8Array(30_000));
          controller.close();
        },
      });
      // The types of Node 20 lack "duplex".
      const init = { method: "POST", body, duplex: "half" } as RequestInit;
      assert.deepEqual(await ask("/count", init), [200, "300000 of 300000"]);
    });

    it("sends a file from where it stands", async () => {
      const text = readFileSync(join(PYTHON_FIXTURES, "behaviours.py"), "utf8");
      assert.deepEqual(await ask("/file"), [200, text.slice(3)]);
    });

    it("keeps a connection in order after HEAD and answers without a body", async () => {
      const connection = await server.connect();
      const fields = "Host: localhost\r\n\r\n";
      connection.send(`HEAD /big?500000 HTTP/1.1\r\n${fields}`);
      const head = await connection.response({ head: true });
      assert.ok(
        head.fields.some(([name, value]) => /^content-length$/i.test(name) && value === "500000"),
      );
      for (const [path, status] of [
        ["/empty", 204],
        ["/echo", 200],
      ] as const) {
        connection.send(`GET ${path} HTTP/1.1\r\n${fields}`);
        assert.equal((await connection.response()).status, status);
      }
      connection.destroy();
    });

    it("breaks off a response that fails or ends early", async () => {
      await assertBrokenOff(server);
      await assert.rejects(ask("/short"));
    });

    it("has context variables of its own in each request", async () => {
      for (let turn = 0; turn < 2; turn++) {
        assert.deepEqual(await ask("/context"), [200, "nothing, its own"]);
      }
    });

    it("closes each iterable once", async () => {
      const [, earlier] = await ask("/closed");
      await ask("/pieces?2");
      await ask("/pieces?2", { method: "HEAD" });
      await ask("/pieces?0");
      assert.deepEqual(await ask("/closed"), [200, String(Number(earlier) + 3)]);
    });
  });
}

describe("a WSGI application in trouble", { timeout: 300_000, skip }, () => {
  const owner = new SuiteOwner();
  let server: TestServer;

  before(async () => {
    server = await startPythonServer(owner, { app: "behaviours:app", workers: 2 });
  });
  after(() => owner.end());

  it("puts prints, logging and tracebacks into the log, with the request", async () => {
    await server.fetch("/say");
    const { requestId, worker } = await server.untilAccess({ path: "/say" });
    for (const [text, level] of [
      ["a print", "info"],
      ["an error", "warn"],
      ["a note", "error"],
      ["news of logging", "info"],
      ["a warning of logging", "warn"],
    ] as const) {
      const line = await server.until(has(text));
      assert.deepEqual(
        [line["level"], line["requestId"], line["workerId"]],
        [level, requestId, worker],
      );
    }
    assert.ok(!server.logs.some(has("a detail of logging")));
    await server.fetch("/boom");
    const failed = await server.until(has("application failed: ValueError: boom"));
    const { stack } = failed["err"] as { stack: string };
    assert.match(
      stack,
      /^Traceback \(most recent call last\):\n {2}File ".*behaviours\.py", line \d+, in app\n/,
    );
    assert.equal(failed["path"], "/boom");
  });

  it("closes a generator whose client leaves", async () => {
    const connection = await server.connect();
    connection.send("GET /endless HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await connection.bytes(1_000);
    connection.destroy();
    await server.until(has("endless was closed"));
    // Its thread is free again.
    assert.equal((await server.fetch("/echo")).status, 200);
  });

  it("answers 504 for what takes too long, names the lines, and replaces the workers", async (t) => {
    const flags = ["--request-timeout", "1s", "--hang-timeout", "1s"];
    const options = { app: "behaviours:app", workers: 2, flags };
    const impatient = await startPythonServer(t, options);
    const answers = ["/sleep?60", "/spin"].map((path) => impatient.fetch(path));
    for (const answer of answers) assert.equal((await answer).status, 504);
    for (const text of ["request still runs after its time was over", "worker hangs"]) {
      const linesOf = (): LogLine[] => impatient.logs.filter(has(text));
      await impatient.until(() => linesOf().length === 2);
      const places = new Set(linesOf().map((line) => String(line["blockedAt"])));
      assert.equal(places.size, 2);
      for (const place of places) assert.match(place, /behaviours\.py:\d+$/);
    }
    await eventually(t, async () => (await impatient.fetch("/echo")).status === 200);
  });

  it("loses only the request that ends or faults its worker", async () => {
    for (const path of ["/leave", "/fault"]) {
      const [lost, kept] = await Promise.all([
        server.fetch(path, { method: "POST" }),
        server.fetch("/sleep?0.2"),
      ]);
      assert.deepEqual([lost.status, kept.status], [502, 200]);
    }
    const crash = await server.until(({ signal }) => signal === "SIGSEGV");
    assert.match(JSON.stringify(crash["stack"]), /fault \(.*behaviours\.py:\d+\)/);
  });

  it("ends a worker that takes too much memory", async (t) => {
    const flags = ["--worker-memory-limit", "100mb"];
    const own = await startPythonServer(t, { app: "behaviours:app", workers: 2, flags });
    assert.equal((await own.fetch("/bomb", { method: "POST" })).status, 502);
    await own.until(has("worker uses too much memory"));
    assert.equal((await own.fetch("/echo")).status, 200);
  });

  it("gives requests that wait behind a slow one to another worker", async () => {
    // So many quick answers that workers get requests in advance.
    for (let round = 0; round < 10; round++) {
      await Promise.all(Array.from({ length: 40 }, () => server.fetch("/pid")));
    }
    const go = join(server.dir, "go");
    const slow = server.fetch(`/held?${go}`);
    const quick = Array.from({ length: 100 }, () => server.fetch("/pid"));
    // All are answered while the slow one is held.
    for (const answer of quick) assert.equal((await answer).status, 200);
    writeFileSync(go, "");
    assert.equal(await (await slow).text(), "let go");
  });

  it("runs as many requests at a time as it has threads, and queues the rest", async (t) => {
    const flags = ["--threads", "3"];
    const own = await startPythonServer(t, { app: "behaviours:app", flags });
    const startedMs = performance.now();
    const slow = Array.from({ length: 6 }, () => own.fetch("/sleep?0.5"));
    for (const answer of slow) assert.equal((await answer).status, 200);
    const tookMs = performance.now() - startedMs;
    assert.ok(tookMs >= 950, `two rounds of three, not one of six: ${tookMs} ms`);
  });

  it("finishes its requests when the server stops", async (t) => {
    const own = await startPythonServer(t, { app: "behaviours:app" });
    const answer = own.fetch("/slow");
    await own.until(has("slow began"));
    own.kill("SIGTERM");
    assert.equal(await (await answer).text(), "slow ended");
    assert.deepEqual(await own.exit, { code: 0, signal: null });
    assert.ok(own.logs.some(has("atexit ran")));
    assert.equal(own.logs.some(has("about to be killed")), false);
  });

  it("has the threads named that hold up the end of a worker", async (t) => {
    const lines = await withLongerLimits(
      async (grace) => {
        const flags = ["--drain-grace", grace];
        const own = await startPythonServer(t, { app: "behaviours:app", flags });
        assert.equal(await (await own.fetch("/thread")).text(), "started");
        own.kill("SIGTERM");
        assert.deepEqual(await own.exit, { code: 0, signal: null });
        return own.logs;
      },
      (found) => found.some(has("threads have not ended")),
    );
    const line = lines.find(has("about to be killed"));
    assert.match(
      line?.msg ?? "",
      /grace: threads have not ended, expected daemons or threads that end$/,
    );
    const threads = JSON.stringify(line?.["threads"]);
    assert.match(threads, /^\["held by the test \(.*behaviours\.py:\d+\)"\]$/);
    assert.equal(lines.some(has("atexit ran")), false);
  });
});

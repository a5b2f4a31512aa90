import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { GenerationInfo } from "../../runtime/control/operations.ts";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { runCommand } from "../helpers/run-command.ts";
import { send } from "../helpers/send.ts";
import { startServer } from "../helpers/start-server.ts";

/** A handler whose stream begins, and then does this, once a file is there. */
function beginsAnd(next: string): string {
  return `import { existsSync } from "node:fs";
  export default (request) => new Response(new ReadableStream({
    start(controller) { controller.enqueue(new TextEncoder().encode("begun")); },
    async pull(controller) {
      const file = new URL(request.url).searchParams.get("file");
      while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 5));
      ${next}
    },
  }));`;
}

describe("the access log", { timeout: 300_000 }, () => {
  it("has one line for each request, with what came of it", async (t) => {
    const server = await startServer(t, {
      handlers: FIXTURE_HANDLERS,
      public: { "page.txt": "page" },
      workers: 1,
    });
    // To the end of each answer: the line is written then, and the lines have the order of the requests.
    const ask = async (path: string, init?: RequestInit): Promise<string> =>
      (await server.fetch(path, init)).text();
    const { requestId } = JSON.parse(await ask("/inspect?secret=1")) as { requestId: string };
    await ask("/respond", { method: "HEAD" });
    await ask("/respond?plan=%7B%22bytes%22:100000%7D");
    await ask("/page.txt");
    await ask("/page.txt?v=1", { method: "HEAD" });
    await ask("/nothing%20here");
    await ask("/throws");
    await ask("/small-bodies", { method: "POST", body: "x".repeat(11) });
    await ask("/users/7", { method: "POST" });
    const leaver = await server.connect();
    leaver.send("GET /never-answers?gone HTTP/1.1\r\nHost: localhost\r\n\r\n");
    await server.until(({ msg }) => msg === "began");
    leaver.destroy();
    await server.untilAccess({ path: "/never-answers" });

    const lines = server.accessLines.map(({ method, path, status, bytes, worker }) =>
      [method, path, status, bytes, worker].join(" "),
    );
    const [inspect] = server.accessLines;
    assert.deepEqual(lines, [
      `GET /inspect 200 ${String(inspect?.["bytes"])} 1`,
      "HEAD /respond 200 0 1",
      "GET /respond 200 100000 1",
      "GET /page.txt 200 4 ",
      "HEAD /page.txt 200 0 ",
      "GET /nothing%20here 404 10 ",
      `GET /throws 500 ${String(server.accessLines[6]?.["bytes"])} 1`,
      "POST /small-bodies 413 18 ",
      "POST /users/7 405 19 1",
      "GET /never-answers 499 0 1",
    ]);
    assert.equal(inspect?.["requestId"], requestId);
    const refused = server.accessLines.flatMap(({ status, limit }) =>
      limit ? [[status, limit]] : [],
    );
    assert.deepEqual(refused, [[413, "bodyLimit"]]);
    const ids = new Set(server.accessLines.map(({ requestId: id }) => id));
    assert.equal(ids.size, lines.length);
    for (const line of server.accessLines) {
      assert.equal(line["level"], "info");
      assert.ok(Number(line["durationMs"]) >= 0 && Number(line["durationMs"]) < 300_000);
      assert.ok(Math.abs(Date.parse(String(line["time"])) - Date.now()) < 300_000);
    }
  });

  it("has 502 for answers that break off after they began, and counts them as errors", async (t) => {
    const server = await startServer(t, {
      handlers: {
        "dies.ts": beginsAnd("process.kill(process.pid, 'SIGKILL');"),
        "fails.ts": beginsAnd("throw new Error('within the body');"),
      },
      workers: 1,
    });
    for (const path of ["/fails", "/dies"]) {
      const file = join(server.dir, "go-on");
      const response = await server.fetch(`${path}?file=${file}${path.slice(1)}`);
      assert.equal(response.status, 200);
      const reader = response.body?.getReader() ?? assert.fail("no body");
      assert.equal(Buffer.from((await reader.read()).value ?? []).toString(), "begun");
      writeFileSync(file + path.slice(1), "");
      await assert.rejects(reader.read());
      const line = await server.untilAccess({ path });
      assert.deepEqual([line["status"], line["bytes"]], [502, "begun".length]);
    }
    const { stdout } = await runCommand(["generations", "--json"], server.dir);
    const [{ requests, errors }] = JSON.parse(stdout) as [GenerationInfo];
    assert.deepEqual([requests, errors], [2, 2]);
  });

  it("tells who asked for what, as Nginx does, without the query unless asked", async (t) => {
    const server = await startServer(t, {
      handlers: FIXTURE_HANDLERS,
      https: true,
      flags: ["--url-limit", "16kb"],
    });
    const client = { "user-agent": 'a "quoted" browser', referer: "http://a.test/b?token=c" };
    const headers = { host: "example.com:81", ...client };
    await send(`${server.http}/inspect?token=1`, { headers });
    await send(`${server.https}/${"x".repeat(9_000)}`, { headers });
    const line = await server.untilAccess({ path: "/inspect" });
    const { clientAddress, scheme, host, query, referer, userAgent } = line;
    assert.deepEqual([clientAddress, scheme, host], ["127.0.0.1", "http", "example.com:81"]);
    assert.deepEqual([query, referer], [undefined, "http://a.test/b"]);
    assert.equal(userAgent, client["user-agent"]);
    const path = `/${"x".repeat(511)}\u2026`;
    await server.untilAccess({ path, scheme: "https", status: 404 });
    await server.raw("GET / HTTP/1.1\r\nHost: a b\r\n\r\n");
    const refused = await server.untilAccess({ path: "/", status: 400 });
    assert.deepEqual([refused["host"], refused["clientAddress"]], [null, "127.0.0.1"]);

    const open = await startServer(t, {
      handlers: FIXTURE_HANDLERS,
      flags: ["--access-log-query", "on", "--access-log-fields", "common"],
    });
    await open.fetch("/inspect?token=1");
    const whole = await open.untilAccess({ path: "/inspect" });
    assert.equal(whole["query"], "token=[redacted]");
    assert.ok(!("userAgent" in whole) && !("referer" in whole));
  });

  it("has the form and the requests that the settings name, and no secret in any line", async (t) => {
    const server = await startServer(t, {
      handlers: {
        "index.ts": `export default (request, { log }) => {
          log.warn({ headers: Object.fromEntries(request.headers) }, "asked for " + request.url);
          throw new Error("no answer for " + request.url);
        };`,
        "ok.ts": `export default () => new Response("ok");`,
      },
      workers: 1,
      flags: ["--access-log-query", "on", "--access-log-skip", "/ok"].concat([
        "--access-log-format",
        '$remote_addr "$request" $status $traceparent "$http_user_agent" $http_x_forwarded_for',
      ]),
    });
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const headers = {
      // Bytes of UTF-8, as a client sends them.
      "user-agent": 'a"\u00c3\u00a9b',
      traceparent,
      authorization: "Bearer S3CRET.1",
      cookie: "session=S3CRET",
    };
    await send(`${server.http}/ok`, { headers });
    await send(`${server.http}/?a=1&api_key=S3CRET`, { headers });
    const expected = `127.0.0.1 "GET /?a=1&api_key=[redacted] HTTP/1.1" 500 ${traceparent} "a\\x22\\xC3\\xA9b" -`;
    await server.until(({ msg }) => msg === expected);
    await server.until(({ msg }) => msg?.startsWith("asked for") === true);
    await server.stop();
    assert.ok(!server.stderr.includes("GET /ok"));
    assert.ok(!server.stderr.includes("S3CRET"), server.stderr);
    assert.ok(server.stderr.split("[redacted]").length > 5);
  });

  it("can be off, and keeps what clients send from forging lines", async (t) => {
    const quiet = await startServer(t, {
      handlers: FIXTURE_HANDLERS,
      flags: ["--access-log", "off"],
    });
    await quiet.fetch("/");
    await quiet.stop();
    assert.deepEqual(quiet.accessLines, []);

    const server = await startServer(t, { handlers: FIXTURE_HANDLERS });
    const path = '/"}{"forged":"%0a\u00e9\u20ac\\';
    const connection = await server.connect();
    connection.send(Buffer.from(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`, "utf8"));
    await connection.response();
    await server.untilAccess({ path });
  });
});

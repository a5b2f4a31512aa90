import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { request, type IncomingMessage } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { HttpClient } from "../helpers/http-client.ts";
import { Load } from "../helpers/load.ts";
import { fieldOf } from "../helpers/raw-connection.ts";
import { shareServer } from "../helpers/shared-server.ts";
import { startServer } from "../helpers/start-server.ts";

const HELLO = `export default () => new Response("hello")`;

/** Logs that it has its request. Answers when it is told to by another request to the same worker. */
const HOLD = `
const held = [];
export const GET = (_request, { log }) => {
  log.info("holds");
  return new Promise((resolve) => held.push(() => resolve(new Response("held"))));
};
export const POST = () => { for (const answer of held.splice(0)) answer(); return new Response("let go"); };
`;

function get(path: string, ...fields: string[]): string {
  return [`GET ${path} HTTP/1.1`, "Host: localhost", ...fields, "", ""].join("\r\n");
}

/** A request whose body lacks its second byte. */
function halfSent(path: string): string {
  return `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\na`;
}

const strict = shareServer({
  handlers: {
    // A handler that answers before its body is too large has answered.
    "index.ts": "export default async (request) => new Response(await request.text());",
    "[...path].ts": HELLO,
  },
  flags: ["--url-limit", "100", "--header-count-limit", "5", "--header-limit", "1kb"].concat([
    "--log-level",
    "debug",
  ]),
});

describe("limits of a head", { timeout: 600_000 }, () => {
  it("are answered with their status, on a connection that goes on", async () => {
    const server = await strict();
    const connection = await server.connect();
    const cases: [head: string, status: number, setting: string | null][] = [
      [get(`/${"a".repeat(99)}`), 200, null],
      [get(`/${"a".repeat(100)}`), 414, "urlLimit"],
      [get(`/?${"a".repeat(99)}`), 414, "urlLimit"],
      [get("/", "A: 1", "B: 2", "C: 3", "D: 4"), 200, null],
      [get("/", "A: 1", "B: 2", "C: 3", "D: 4", "E: 5"), 431, "headerCountLimit"],
      [get("/", `A: ${"a".repeat(1024 - 16 - 17 - 3 - 4)}`), 200, null],
      [get("/", `A: ${"a".repeat(1024 - 16 - 17 - 3 - 4 + 1)}`), 431, "headerLimit"],
      [get("/", `A: ${"a".repeat(4_000)}`), 431, "headerLimit"],
      [get("/"), 200, null],
    ];
    for (const [head, status] of cases) {
      connection.send(head);
      assert.equal((await connection.response()).status, status, head.slice(0, 150));
    }
    for (const [, , setting] of cases) {
      if (setting === null) continue;
      await server.until((line) => line["setting"] === setting && line.msg === "request refused");
    }
    await server.untilAccess({ status: 414 });
  });

  it("reach a client that sends a large body behind the head, and asked to close after it", async () => {
    const server = await strict();
    const cases: [path: string, headers: Record<string, string>, status: number][] = [
      [`/${"a".repeat(200)}`, {}, 414],
      ["/", { large: "a".repeat(2_000) }, 431],
      ["/", {}, 413],
    ];
    for (const [path, headers, status] of cases) {
      const sending = request(server.http + path, { method: "POST", headers, agent: false });
      // Whoever answers early need not read the rest; `once` would take an error for the end.
      sending.on("error", () => {});
      const answered = new Promise<IncomingMessage>((resolve) => sending.once("response", resolve));
      for (let count = 0; count < 64; count++) sending.write(Buffer.alloc(64 * 1024));
      sending.end();
      const response = await answered;
      assert.equal(response.statusCode, status);
      assert.notEqual(await text(response), "");
      sending.destroy();
    }
  });
});

describe("limits of requests in flight", { timeout: 600_000 }, () => {
  it("--max-requests-per-address answers 429, and forgets what is over", async (t) => {
    const handlers = { "index.ts": HELLO, "hold.ts": HOLD };
    const flags = ["--max-requests-per-address", "3", "--health-path", "/up"];
    const server = await startServer(t, { handlers, workers: 1, flags });
    const held = [server.fetch("/hold"), server.fetch("/hold")];
    await server.until(() => server.logs.filter(({ msg }) => msg === "holds").length === 2);
    // A third one is admitted, and a fourth is one too many.
    await eventually(t, async () => {
      const answers = await Promise.all([server.fetch("/"), server.fetch("/")]);
      const statuses = answers.map(({ status }) => status);
      const refused = answers.find(({ status }) => status === 429);
      await Promise.all(answers.map((answer) => answer.text()));
      return statuses.includes(429) && refused?.headers.get("retry-after") === "1";
    });
    assert.equal((await server.fetch("/hold", { method: "POST" })).status, 200);
    for (const each of held) assert.equal(await (await each).text(), "held");
    for (let count = 0; count < 10; count++) assert.equal((await server.fetch("/")).status, 200);
  });

  it("--max-requests answers 503 but not for what is reserved, nor for files and health", async (t) => {
    const reserved = `export const config = { reserved: true };${HELLO}`;
    const handlers = { "index.ts": HELLO, "hold.ts": HOLD, "reserved.ts": reserved };
    const flags = ["--max-requests", "1", "--health-path", "/up"];
    const files = { "file.txt": "file" };
    const server = await startServer(t, { handlers, public: files, workers: 1, flags });
    const held = await server.connect();
    held.send(get("/hold"));
    await server.until(({ msg }) => msg === "holds");
    const refused = await server.fetch("/");
    assert.deepEqual([refused.status, refused.headers.get("retry-after")], [503, "1"]);
    for (const path of ["/reserved", "/up", "/file.txt"]) {
      assert.equal((await server.fetch(path)).status, 200, path);
    }
    held.destroy();
    await eventually(t, async () => (await server.fetch("/")).status === 200);
    await server.until(({ msg }) => msg === "overloaded: requests refused");
  });
});

describe("--health-path", { timeout: 600_000 }, () => {
  it("tells whether a worker is ready, whatever handlers and files say", async (t) => {
    const blocks = "setTimeout(() => process.kill(process.pid, 'SIGKILL')); ";
    const handlers = {
      // The next worker is ready once the file is gone: else it could be ready before the test looks.
      "up.ts": `
        import { existsSync } from "node:fs";
        while (existsSync("hold")) await new Promise((resolve) => setTimeout(resolve, 5));
        export default () => { throw new Error(); }`,
      "die.ts": `export default () => { ${blocks} return new Response("bye"); }`,
    };
    const flags = ["--health-path", "/up"];
    const server = await startServer(t, { handlers, workers: 1, flags });
    const up = await server.fetch("/up?x");
    assert.deepEqual([up.status, await up.text()], [200, "ok\n"]);
    assert.equal(up.headers.get("cache-control"), "no-store");
    const head = await server.fetch("/up", { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
    const post = await server.fetch("/up", { method: "POST", body: "x" });
    assert.deepEqual([post.status, post.headers.get("allow")], [405, "GET, HEAD"]);
    writeFileSync(join(server.dir, "hold"), "");
    await server.fetch("/die");
    await eventually(t, async () => (await server.fetch("/up")).status === 503);
    rmSync(join(server.dir, "hold"));
    await eventually(t, async () => (await server.fetch("/up")).status === 200);
  });
});

const READS = "export default async (request) => new Response(await request.text());";

const own = shareServer({
  handlers: {
    "short.ts": `export const config = { bodyTimeoutMs: 100 }; ${READS}`,
    "other.ts": READS,
    "never.ts": `
      export const config = { timeoutMs: 300 };
      export default (request, context) => {
        request.signal.addEventListener("abort", () => context.log.info(request.signal.reason.name));
        return new Response(new ReadableStream({}));
      };`,
    // Its first piece has to be on its way in time on a machine that stands still for seconds, too.
    "later.ts": `
      export const config = { timeoutMs: 10_000 };
      export default () => new Response((async function* () {
        yield "one ";
        await new Promise((resolve) => setTimeout(resolve, 11_000));
        yield "two";
      })());`,
    "upload.ts": `export const config = { timeoutMs: 300, bodyBufferBytes: 0 }; ${READS}`,
    "small.ts": `
      export const config = { bodyLimitBytes: 200_000 };
      export default async (request, context) => {
        request.signal.addEventListener("abort", () => context.log.info(request.signal.reason.message));
        return new Response(await request.text());
      };`,
  },
});

// Side by side: most of them wait for a timer.
describe("limits of a handler's own", { timeout: 600_000, concurrency: true }, () => {
  it("bodyTimeoutMs cuts a body that stands still, and the log says by what", async () => {
    const server = await own();
    const [short, other] = [await server.connect(), await server.connect()];
    other.send(halfSent("/other"));
    short.send(halfSent("/short"));
    assert.equal((await short.response()).status, 408);
    const line = await server.until(
      ({ msg, path }) => msg === "slow client cut off" && path === "/short",
    );
    const { setting, value, method, path, clientAddress } = line;
    assert.deepEqual([setting, value], ["bodyTimeout", 100]);
    assert.deepEqual([method, path, clientAddress], ["POST", "/short", "127.0.0.1"]);
    other.send("b");
    assert.equal(String((await other.response()).body), "ab");
  });

  it("timeoutMs ends a stream of which nothing has come, and not one that has begun", async () => {
    const server = await own();
    const [never, later] = await Promise.all([server.fetch("/never"), server.fetch("/later")]);
    assert.deepEqual([never.status, await later.text()], [504, "one two"]);
    const line = await server.until(
      ({ setting, path }) => setting === "timeoutMs" && path === "/never",
    );
    assert.equal(line["level"], "error");
    assert.match(String(line["handler"]), /handlers\/never\.ts$/);
    await server.until(({ msg }) => msg === "TimeoutError");
  });

  it("timeoutMs is the client's fault while its handler waits for the body", async () => {
    const server = await own();
    const connection = await server.connect();
    connection.send(halfSent("/upload"));
    assert.equal((await connection.response()).status, 408);
    const line = await server.until(
      ({ setting, path }) => setting === "timeoutMs" && path === "/upload",
    );
    assert.deepEqual([line["level"], line["receivedBytes"]], ["info", 1]);
  });

  it("a body that is too large aborts the request with a reason of its own", async () => {
    const server = await own();
    const connection = await server.connect();
    connection.send(
      "POST /small HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
    );
    connection.send(`30d41\r\n${"a".repeat(200_001)}\r\n`);
    const response = await connection.response();
    assert.deepEqual([response.status, fieldOf(response, "connection")], [413, "close"]);
    await server.until(({ msg }) => msg === "The request body is longer than its limit");
  });
});

describe("overload", { timeout: 600_000 }, () => {
  it("is answered 503 at once above what the workers can do, and leaves nothing behind", async (t) => {
    const busy = `export default () => {
      const endMs = performance.now() + 5;
      while (performance.now() < endMs);
      return new Response("done");
    };`;
    const flags = ["--queue-delay", "100ms", "--health-path", "/up", "--access-log", "off"];
    const server = await startServer(t, { handlers: { "index.ts": busy }, workers: 1, flags });
    // 20 can wait for 100 ms: of 100 at a time, most are refused.
    const client = new HttpClient(t, server.http, { connections: 100 });
    const load = new Load(t, 100, () => client.request("/"));
    await load.until(50, ({ status }) => status === 200);
    await load.until(50, ({ status }) => status === 503);
    assert.equal((await server.fetch("/up")).status, 200);
    for (const { status, headers } of await load.stop()) {
      assert.ok(status === 200 || (status === 503 && headers["retry-after"] !== undefined));
    }
    assert.equal((await server.fetch("/")).status, 200);
  });
});

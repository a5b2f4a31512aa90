import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { runCommand } from "../helpers/run-command.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";

const CONFIG = `export default {
  pools: { jobs: { workers: 2 }, narrow: { workers: 1, concurrency: 2 } },
  sites: { "shop.example": { handlers: "shop" } },
  bindings: {
    API: { service: "default" },
    SHOP: { service: "shop.example" },
    ASSETS: { assets: true },
  },
};`;

/** Calls the path in its query with its own method and body, and passes the answer on. */
const CALL = `
export const config = { bodyLimitBytes: 1e8, timeoutMs: 90_000 };
export default {
  async fetch(request, env) {
    const path = new URL(request.url).searchParams.get("path");
    const { method, body, headers, signal } = request;
    try {
      const answer = await env.API.fetch(path, { method, body, headers });
      return new Response(answer.body, answer);
    } catch (error) {
      return Response.json(String(error), { status: 400 });
    }
  },
};`;

const HANDLERS = {
  "call.ts": CALL,
  "facts.ts": `export const config = { pool: "jobs", timeoutMs: 600_000 };
    export default (request, context) => Response.json({
      url: request.url, method: request.method, own: request.headers.get("x-own"), address: context.clientAddress,
      leftMs: context.deadline - Date.now(),
    });`,
  "echo.ts": `export const config = { pool: "jobs", bodyLimitBytes: 1e8 };
    export default (request) => new Response(request.body);`,
  "get-only.get.ts": `export default () => new Response("got");`,
  "throws.ts": `export default () => { throw new Error("as told"); };`,
  "loop.ts": `export default async (request, { env }) => {
      try { return new Response("(" + await (await env.API.fetch(request)).text() + ")"); }
      catch (error) { return new Response(error.message); }
    };`,
  "deep.ts": `export const config = { pool: "narrow" };
    export default async (request, { env }) => {
      const level = Number(new URL(request.url).searchParams.get("level"));
      if (level === 0) return new Response("bottom");
      return env.API.fetch("/deep?level=" + (level - 1));
    };`,
  "waits.ts": `export const config = { pool: "jobs" };
    export default (request, { log }) => new Promise((resolve) => {
      log.info("callee waits");
      request.signal.addEventListener("abort", () => (log.info("callee aborted"), resolve(new Response())));
    });`,
  "aborts.ts": `export default async (request, { env }) => {
      const stop = new AbortController();
      const answer = env.API.fetch("/waits", { signal: stop.signal });
      stop.abort(new Error("own reason"));
      return answer.catch((error) => new Response(error.message));
    };`,
  "dies.ts": `import { existsSync, writeFileSync } from "node:fs";
    export const config = { pool: "jobs" };
    export default (request) => {
      const mark = "died-" + request.method;
      if (existsSync(mark)) return new Response("second try");
      writeFileSync(mark, "");
      process.kill(process.pid, "SIGKILL");
    };`,
  "asset.ts": `export default (request, { env }) => env.ASSETS.fetch(
      new Request(new URL(request.url).searchParams.get("path"), request));`,
  "shop.ts": `export default (request, { env }) => env.SHOP.fetch("https://any.example/own");`,
  "chat.ts": `import { upgradeWebSocket } from "edgicorn";
    export const GET = (request) => upgradeWebSocket(request).response;
    export async function webSocketMessage(socket, path, { env }) {
      socket.send(await (await env.API.fetch(path)).text());
    }`,
  "cron.ts": `export const config = { schedule: "0 0 1 1 *" };
    export async function scheduled(event, env, context) {
      const answer = await env.API.fetch("/get-only");
      context.log.info({ text: await answer.text() }, "called at a time");
    }`,
  "later.ts": `import { env } from "cloudflare:workers";
    export default async (request, { log }) => {
      log.info("caller waits");
      await new Promise((resolve) => setTimeout(resolve, 300));
      return env.API.fetch("/facts");
    };`,
};

const SHOP = {
  "shop/own.ts": `export default (request) => new Response("shop " + request.url);`,
};

const BIG = randomBytes(3_000_000);
const LONG = { timeout: 300_000 };

describe("bindings of services and assets", LONG, () => {
  const owner = new SuiteOwner();
  let server: TestServer;
  before(async () => {
    server = await startServer(owner, {
      handlers: HANDLERS,
      public: { "a.txt": "a file", "big.bin": BIG, "404.html": "<p>not here</p>" },
      files: { "edgicorn.config.mjs": CONFIG, ...SHOP },
      workers: 2,
      flags: ["--body-limit", "100mb"],
    });
  });
  after(() => owner.end());

  const call = (path: string, init?: RequestInit): Promise<Response> =>
    server.fetch(`/call?path=${encodeURIComponent(path)}`, init);

  it("call a handler of another pool, with the address and the time of the client", async () => {
    const answer = await call("https://any.example/facts?a=b", { headers: { "x-own": "yes" } });
    const { leftMs, ...facts } = (await answer.json()) as Record<string, unknown>;
    const url = "https://any.example/facts?a=b";
    assert.deepEqual(facts, { url, method: "GET", own: "yes", address: "127.0.0.1" });
    assert.ok(Number(leftMs) <= 90_000, "the caller has less time than the callee may take");
  });

  it("answer with every status, and reject what is no request", async () => {
    const statuses = await Promise.all(
      ["/get-only", "/nothing-here", "/throws", "users"].map(
        async (path) => (await call(path)).status,
      ),
    );
    assert.deepEqual(statuses, [200, 404, 500, 400]);
    assert.equal((await call("/get-only", { method: "PUT" })).status, 405);
    assert.equal(await (await server.fetch("/shop")).text(), "shop https://any.example/own");
  });

  it("stream bodies of any size both ways", async () => {
    for (const size of [1, 65_536, 65_537, 3_000_000]) {
      const body = BIG.subarray(0, size);
      const answer = await call("/echo", { method: "POST", body });
      const text = Buffer.from(await answer.arrayBuffer());
      assert.equal(text.length, size);
      assert.equal(digest(text), digest(body), `${size} bytes`);
    }
  });

  it("end a loop with an error", async () => {
    const text = await (await server.fetch("/loop")).text();
    assert.match(text, /^\({16}Cannot call GET http.*\/loop: found 16 calls.*call itself\?\){16}$/);
  });

  it("get an answer where their callers fill all workers", async () => {
    const answers = await Promise.all(
      Array.from({ length: 30 }, async () => (await server.fetch("/deep?level=5")).text()),
    );
    assert.ok(answers.every((text) => text === "bottom"));
  });

  it("abort with their caller, and for its own reason", async () => {
    const client = new AbortController();
    const left = call("/waits", { signal: client.signal });
    await server.until(({ msg }) => msg === "callee waits");
    client.abort();
    await assert.rejects(left);
    await server.until(({ msg }) => msg === "callee aborted");
    assert.equal(await (await server.fetch("/aborts")).text(), "own reason");
  });

  it("run again when a worker is lost, if their method allows it", async () => {
    assert.equal(await (await call("/dies")).text(), "second try");
    assert.equal((await call("/dies", { method: "POST" })).status, 502);
  });

  it("answer with files, conditions and ranges", async () => {
    const asset = (path: string, init?: RequestInit): Promise<Response> =>
      server.fetch(`/asset?path=http://x${path}`, init);
    const file = await asset("/a.txt");
    assert.deepEqual([file.status, await file.text()], [200, "a file"]);
    const tag = file.headers.get("etag") ?? "";
    assert.equal(tag, (await server.fetch("/a.txt")).headers.get("etag"));
    assert.equal((await asset("/a.txt", { headers: { "if-none-match": tag } })).status, 304);
    const part = await asset("/a.txt", { headers: { range: "bytes=2-3" } });
    assert.deepEqual([part.status, await part.text()], [206, "fi"]);
    const head = await asset("/a.txt", { method: "HEAD" });
    assert.deepEqual([head.status, head.headers.get("content-length")], [200, "6"]);
    const missing = await asset("/none");
    assert.deepEqual([missing.status, await missing.text()], [404, "<p>not here</p>"]);
    assert.equal((await asset("/a.txt", { method: "POST" })).status, 405);
    const big = Buffer.from(await (await asset("/big.bin")).arrayBuffer());
    assert.equal(digest(big), digest(BIG));
  });

  it("work at times and in events of WebSockets", async () => {
    const { code, stderr } = await runCommand(["cron", "run", "/cron"], server.dir);
    assert.equal(code, 0, stderr);
    await server.until(({ msg, text }) => msg === "called at a time" && text === "got");
    const socket = await WebSocketClient.open(owner, `${server.http}/chat`);
    socket.send("/get-only");
    assert.equal(await socket.next(), "got");
    await socket.close();
  });

  it("reach other pools while the server stops", async () => {
    const answer = server.fetch("/later");
    await server.until(({ msg }) => msg === "caller waits");
    server.kill("SIGTERM");
    assert.equal((await answer).status, 200);
    assert.equal((await server.exit).code, 0);
  });
});

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

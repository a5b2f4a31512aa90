import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { parseShadow } from "../../runtime/cli/shadow/parse-shadow.ts";
import { runShadow } from "../../runtime/cli/shadow/run-shadow.ts";
import type { ShadowSummary } from "../../runtime/cli/shadow/summary.ts";
import { eventually } from "../helpers/eventually.ts";
import { runCommand } from "../helpers/run-command.ts";
import { shareServer } from "../helpers/shared-server.ts";
import type { TestServer } from "../helpers/start-server.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const LONG = "the same page of some length, which is compressed. ".repeat(100);

const shared = shareServer({
  workers: 1,
  handlers: {
    "same.ts": `export default () => new Response(${JSON.stringify(LONG)}, { headers: { "x-same": "1", "set-cookie": "sid=" + Math.random() } });`,
    "status.ts": `export default () => new Response("new");`,
    "field.ts": `export default () => new Response("a", { headers: { "cache-control": "no-store", "x-version": "2" } });`,
    "body/[id].ts": `export default () => new Response("Hello, new world");`,
    "posted.ts": `export default () => new Response("posted");`,
  },
});

interface Old {
  url: string;
  asked: { line: string; headers: IncomingHttpHeaders }[];
  server: Server;
}

/** Starts a server that answers some paths in another way. */
async function startOld(t: TestContext): Promise<Old> {
  const asked: Old["asked"] = [];
  const server = createServer((request, response) => {
    asked.push({ line: `${request.method} ${request.url}`, headers: request.headers });
    const [path = ""] = (request.url ?? "").split("?");
    response.setHeader("content-type", "text/plain;charset=UTF-8");
    if (path === "/same") {
      response.setHeader("x-same", "1");
      response.setHeader("set-cookie", "sid=other");
      response.end(LONG);
    } else if (path === "/status") response.writeHead(404).end("none");
    else if (path === "/field") response.setHeader("x-version", "1").end("a");
    else if (path === "/gone") request.socket.destroy();
    else response.end("Hello, old world");
  });
  // Longer than any pause of a slow machine between two requests.
  server.keepAliveTimeout = 600_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  // A server that listens on a port has such an address.
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, asked, server };
}

interface Shadow {
  /** The lines so far, as JSON. */
  lines: Record<string, unknown>[];
  outcome: ReturnType<typeof runShadow>;
  end(): Promise<{ exitCode: number; problem: string; summary: ShadowSummary | undefined }>;
}

async function shadow(server: TestServer, old: string, own: object = {}): Promise<Shadow> {
  const ending = new AbortController();
  const { wish, problems } = parseShadow([old], { sample: ["100%"], ...own });
  assert.deepEqual(problems, []);
  const lines: Record<string, unknown>[] = [];
  let result: ReturnType<typeof runShadow> | null = null;
  await new Promise<void>((resolve, reject) => {
    result = runShadow({
      wish,
      json: true,
      flags: {},
      env: {},
      cwd: server.dir,
      signal: ending.signal,
      onBegun: resolve,
      write: (text) => void lines.push(JSON.parse(text) as Record<string, unknown>),
    });
    result.then(({ problem }) => reject(new Error(`ended early: ${problem}`)), reject);
  });
  assert.ok(result !== null);
  const outcome: ReturnType<typeof runShadow> = result;
  return {
    lines,
    outcome,
    async end() {
      ending.abort();
      // The last line has it.
      return {
        ...(await outcome),
        summary: lines.at(-1)?.["summary"] as ShadowSummary | undefined,
      };
    },
  };
}

describe("edgicorn shadow", { timeout: 180_000 }, () => {
  it("compares what visitors get with the answers of the old server", async (t) => {
    const [server, old] = [await shared(), await startOld(t)];
    const reading = await shadow(server, old.url, { ignore: ["x-version"] });
    const headers = { "accept-encoding": "gzip", cookie: "sid=secret" };
    const paths = ["/same?a=b", "/status", "/field", "/body/7"];
    for (const path of paths) await (await server.fetch(path, { headers })).arrayBuffer();
    await (await server.fetch("/posted", { method: "POST", body: "a" })).arrayBuffer();
    await server.fetch("/same", { method: "HEAD" });
    await (await server.fetch("/same", { headers: { "if-none-match": '"a"' } })).arrayBuffer();
    await eventually(t, () => reading.lines.length === 5);
    const found = new Map(
      reading.lines.map(({ method, target, differences }) => [
        `${String(method)} ${String(target)}`,
        differences,
      ]),
    );
    assert.deepEqual(
      found,
      new Map<string, unknown>([
        ["GET /same?a=b", []],
        ["GET /status", [{ kind: "status", here: 200, old: 404 }]],
        ["GET /field", [{ kind: "field", name: "cache-control", here: "no-store", old: null }]],
        [
          "GET /body/7",
          [
            {
              kind: "body",
              hereBytes: 16,
              oldBytes: 16,
              first: { offset: 7, here: "new world", old: "old world" },
            },
          ],
        ],
        ["HEAD /same", []],
      ]),
    );
    assert.deepEqual(old.asked.map(({ line }) => line).toSorted(), [...found.keys()].toSorted());
    for (const { headers: sent } of old.asked) {
      assert.equal(sent.cookie, undefined);
      assert.equal(sent["accept-encoding"], "identity");
      assert.equal(sent.host, new URL(old.url).host);
    }
    const { exitCode, summary } = await reading.end();
    assert.equal(exitCode, 1);
    assert.deepEqual([summary?.compared, summary?.different], [5, 3]);
    const body = summary?.routes.find(({ route }) => route === "/body/:id");
    assert.deepEqual(body, {
      route: "/body/:id",
      same: 0,
      status: 0,
      field: 0,
      body: 1,
      failed: 0,
    });
  });

  it("sends credentials and the host only when it is asked to, and takes one reader", async (t) => {
    const [server, old] = [await shared(), await startOld(t)];
    const reading = await shadow(server, old.url, { "with-credentials": [""], "keep-host": [""] });
    const second = await runCommand(["shadow", old.url], server.dir);
    assert.equal(second.code, 70);
    assert.match(second.stderr, /found another "edgicorn shadow"/);
    await (await server.fetch("/same", { headers: { cookie: "sid=1" } })).arrayBuffer();
    await eventually(t, () => reading.lines.length === 1);
    assert.equal(old.asked[0]?.headers.cookie, "sid=1");
    assert.equal(old.asked[0]?.headers.host, new URL(server.http).host);
    assert.equal((await reading.end()).exitCode, 0);
  });

  it("says that the old server gives no answer", async (t) => {
    const [server, old] = [await shared(), await startOld(t)];
    const reading = await shadow(server, old.url);
    await (await server.fetch("/gone")).arrayBuffer();
    await eventually(t, () => reading.lines.length === 1);
    const { exitCode, problem, summary } = await reading.end();
    assert.deepEqual([exitCode, summary?.failed], [70, 1]);
    assert.match(problem, /^Cannot compare: http:.* gave no answer \(ECONNRESET\)/);
  });

  it("does not compare its own requests, when the old server is this one", async (t) => {
    const server = await shared();
    const reading = await shadow(server, server.http);
    await (await server.fetch("/status")).arrayBuffer();
    await eventually(t, () => reading.lines.length === 1);
    await (await server.fetch("/status")).arrayBuffer();
    await eventually(t, () => reading.lines.length === 2);
    const { exitCode, summary } = await reading.end();
    assert.deepEqual([exitCode, summary?.compared], [0, 2]);
  });

  it("says that no server runs", async (t) => {
    const { code, stdout, stderr } = await runCommand(
      ["shadow", "http://127.0.0.1:1"],
      temporaryFolder(t),
    );
    assert.deepEqual([code, stdout], [69, ""]);
    assert.match(stderr, /^No server runs/);
  });

  // The last one: the shared server has ended.
  it("says that the server stops, after the summary", async (t) => {
    const [server, old] = [await shared(), await startOld(t)];
    const reading = await shadow(server, old.url);
    await (await server.fetch("/same")).arrayBuffer();
    await eventually(t, () => reading.lines.length === 1);
    await server.stop();
    const { exitCode, problem } = await reading.outcome;
    assert.deepEqual([exitCode, problem], [69, "The server stops"]);
    assert.equal((reading.lines.at(-1)?.["summary"] as ShadowSummary | undefined)?.compared, 1);
  });
});

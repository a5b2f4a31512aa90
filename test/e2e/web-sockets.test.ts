import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { after, before, describe, it } from "node:test";
import { Reloads } from "../helpers/reloads.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";

const TIMEOUT = { timeout: 600_000 };

/** Counts the messages of each WebSocket in its attachment, and publishes what comes for a topic. */
const CHAT = `
import { upgradeWebSocket } from "edgicorn";
export function GET(request) {
  if (request.headers.get("upgrade") === null) return new Response("a chat");
  const protocol = request.headers.get("sec-websocket-protocol")?.split(",").at(-1).trim();
  const { socket, response } = upgradeWebSocket(request, { protocol, headers: { "x-chat": "yes" } });
  const url = new URL(request.url);
  socket.serializeAttachment({ name: url.searchParams.get("name"), count: 0 });
  for (const topic of url.searchParams.getAll("topic")) socket.subscribe(topic);
  socket.send("welcome");
  return response;
}
export async function POST(request, context) {
  context.publish("news", await request.text());
  return new Response(null, { status: 204 });
}
export function webSocketMessage(socket, message, context) {
  if (message === "throw") throw new Error("as told");
  if (message === "facts") {
    const { url, protocol, readyState, topics, headers } = socket;
    const agent = headers.get("x-agent");
    socket.send(JSON.stringify({ path: new URL(url).pathname, protocol, readyState, topics, agent, address: context.clientAddress }));
    return;
  }
  if (message === "close") return socket.close(4001, "as told");
  if (message === "crash") process.exit(3);
  if (typeof message !== "string") return void socket.send(message);
  if (message.startsWith("publish ")) return socket.publish("news", message.slice(8));
  if (message.startsWith("later ")) return answerLater(socket, message);
  const state = socket.deserializeAttachment();
  state.count++;
  socket.serializeAttachment(state);
  socket.send(state.name + " " + state.count + " " + message + " " + process.pid);
}
async function answerLater(socket, message) {
  await new Promise((resolve) => setImmediate(resolve));
  socket.send(message);
}
export function webSocketError(socket, error) {
  socket.send("error: " + error.message);
}
export function webSocketClose(socket, code, reason, wasClean, context) {
  const { name } = socket.deserializeAttachment();
  context.publish("ends", name + " " + code + " " + reason + " " + wasClean);
}
`;

/** The form of Workers: listeners in the worker that accepted. */
const PAIR = `
export default {
  fetch(request) {
    const pair = new WebSocketPair();
    const [client, server] = Object.values(pair);
    server.accept();
    server.addEventListener("message", ({ data }) => {
      if (data === "throw") throw new Error("as told");
      if (data === "reject") return Promise.reject(new Error("as told"));
      server.send(data);
    });
    // A listener of errors that fails itself is not called for its own error.
    server.addEventListener("error", () => { throw new Error("sync"); });
    server.onerror = async () => { throw new Error("async"); };
    server.onclose = ({ code, reason, wasClean }) => globalThis.lastClose = { code, reason, wasClean };
    return new Response(null, { status: 101, webSocket: client });
  },
};
`;

/** Answers with its process, to requests and through WebSockets that end with it. */
const BOUND = `
export default (request) => {
  if (request.headers.get("upgrade") === null) return new Response(String(process.pid));
  const [client, server] = Object.values(new WebSocketPair());
  server.accept();
  server.addEventListener("message", () => server.send(String(process.pid)));
  return new Response(null, { status: 101, webSocket: client });
};
`;

const packageFile = (name: string): string => fileURLToPath(import.meta.resolve(name));

const HONO = `
import { Hono } from "${packageFile("hono")}";
import { upgradeWebSocket } from "${packageFile("hono/cloudflare-workers")}";
const app = new Hono();
app.get("/hono", upgradeWebSocket((c) => ({
  onMessage(event, ws) { ws.send(c.req.query("name") + ": " + event.data); },
})));
export default app;
`;

const owner = new SuiteOwner();
let server: TestServer;

before(async () => {
  server = await startServer(owner, {
    handlers: {
      "chat.ts": CHAT,
      "pair.ts": PAIR,
      "hono.ts": HONO,
      "bound.ts": BOUND,
      "bare.ts": `export default () => new Response(null, { status: 101, webSocket: new WebSocketPair()[0] });`,
      "deno.ts": `import { upgradeWebSocket } from "edgicorn";
        export default (request) => {
          const { socket, response } = upgradeWebSocket(request);
          socket.onopen = () => socket.send("open " + socket.readyState);
          socket.onmessage = ({ data }) => socket.send("got " + data);
          return response;
        };`,
      "small.ts": `export const config = { webSocketMessageLimitBytes: 100, webSocketOrigins: ["https://a.example"] };
        export default { fetch: () => new Response(null, { status: 101, webSocket: new WebSocketPair()[0] }),
          webSocketMessage(socket, message) { socket.send(message); } };`,
    },
    files: { "edgicorn.config.json": "{}" },
    https: true,
    workers: 2,
    // The level is for a line about each worker that ends.
    flags: ["--access-log", "off", "--web-socket-compression", "on", "--log-level", "debug"],
  });
});

after(() => owner.end());

/** Kills a worker, unless it has just ended by itself. */
function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // It is gone.
  }
}

function open(
  t: { after: (callback: () => void) => void },
  path: string,
  options: Parameters<typeof WebSocketClient.open>[2] = {},
): Promise<WebSocketClient> {
  return WebSocketClient.open(t, server.http + path, options);
}

describe("a WebSocket of a handler", () => {
  it("carries text and bytes of all sizes, also through TLS", TIMEOUT, async (t) => {
    for (const [base, perMessageDeflate] of [
      [server.http, false],
      [server.http, true],
      [server.https, true],
    ] as const) {
      const client = await WebSocketClient.open(t, `${base}/chat?name=eve`, { perMessageDeflate });
      assert.equal(client.socket.extensions !== "", perMessageDeflate);
      assert.equal(await client.next(), "welcome");
      for (const size of [0, 1, 125, 126, 16_000, 65_536, 1024 * 1024]) {
        const bytes = randomBytes(size);
        client.send(bytes);
        const echoed = await client.next();
        assert.ok(bytes.equals(Buffer.from(echoed)), `${size} bytes`);
      }
      client.send("ü€😀");
      assert.match(String(await client.next()), /^eve 1 ü€😀 \d+$/);
      assert.equal((await client.close()).code, 1000);
    }
  });

  it("compresses messages for subscribers that ask for it", TIMEOUT, async (t) => {
    const path = "/chat?name=eve&topic=news";
    const text = JSON.stringify(Array.from({ length: 500 }, (_, id) => ({ id, name: "a name" })));
    const deflating = await open(t, path);
    const plain = await open(t, path, { perMessageDeflate: false });
    for (const client of [deflating, plain]) assert.equal(await client.next(), "welcome");
    const publisher = await open(t, "/chat?name=bob");
    publisher.send(`publish ${text}`);
    const bytes: number[] = [];
    for (const client of [deflating, plain]) {
      assert.equal(await client.next(), text);
      // The property is Node's socket below the package's WebSocket.
      const { _socket: socket } = client.socket as unknown as { _socket: { bytesRead: number } };
      bytes.push(socket.bytesRead);
    }
    const [deflated = 0, whole = 0] = bytes;
    assert.ok(whole > text.length && deflated < text.length / 4, `${deflated} of ${whole} bytes`);
  });

  it("runs the messages of one client one after the other", TIMEOUT, async (t) => {
    const client = await open(t, "/chat?name=eve");
    await client.next();
    for (let at = 0; at < 50; at++) client.send(at % 3 === 0 ? `later ${at}` : String(at));
    const answers = (await client.take(50)).map((text) => String(text).split(" ").slice(0, 3));
    let count = 0;
    const expected = answers.map((_, at) =>
      at % 3 === 0 ? ["later", String(at)] : ["eve", String(++count), String(at)],
    );
    assert.deepEqual(
      answers.map((words, at) => (at % 3 === 0 ? words.slice(0, 2) : words)),
      expected,
    );
  });

  it("tells its handler the facts of the request", TIMEOUT, async (t) => {
    const client = await open(t, "/chat?name=eve&topic=a&topic=b", {
      protocols: ["v1", "v2"],
      headers: { "x-agent": "test" },
    });
    assert.equal(client.socket.protocol, "v2");
    await client.next();
    client.send("facts");
    assert.deepEqual(JSON.parse(String(await client.next())), {
      path: "/chat",
      protocol: "v2",
      readyState: 1,
      topics: ["a", "b"],
      agent: "test",
      address: "127.0.0.1",
    });
  });

  it("goes on after a handler that throws", TIMEOUT, async (t) => {
    const client = await open(t, "/chat?name=eve");
    await client.next();
    client.send("throw");
    assert.equal(await client.next(), "error: as told");
    client.send("hello");
    assert.match(String(await client.next()), /^eve 1 hello /);
    await server.until(({ msg }) => msg === "handler of a WebSocket failed");
  });

  it("publishes to subscribers in all workers", TIMEOUT, async (t) => {
    const clients = await Promise.all(
      ["a", "b", "c", "d"].map((name) => open(t, `/chat?name=${name}&topic=news`)),
    );
    for (const client of clients) await client.next();
    const [first = assert.fail(), ...others] = clients;
    first.send("publish hello");
    for (const client of others) assert.equal(await client.next(), "hello");
    await server.fetch("/chat", { method: "POST", body: "to all" });
    for (const client of clients) assert.equal(await client.next(), "to all");
  });

  it("tells the other side how it ended", TIMEOUT, async (t) => {
    const watcher = await open(t, "/chat?name=watcher&topic=ends");
    await watcher.next();
    // WebSockets of earlier tests may end only now.
    const endOf = async (name: string): Promise<string> => {
      for (;;) {
        const [other, ...end] = String(await watcher.next()).split(" ");
        if (other === name) return end.join(" ");
      }
    };
    const closing = await open(t, "/chat?name=closing");
    await closing.close(1000);
    assert.equal(await endOf("closing"), "1000  true");
    const cut = await open(t, "/chat?name=cut");
    await cut.next();
    cut.socket.terminate();
    assert.equal(await endOf("cut"), "1006  false");
    const closed = await open(t, "/chat?name=closed");
    closed.send("close");
    assert.deepEqual(await closed.closed, { code: 4001, reason: "as told" });
    assert.equal(await endOf("closed"), "4001 as told true");
  });

  it(
    "is refused to pages of other origins, and to requests that ask for none",
    TIMEOUT,
    async (t) => {
      const refused = async (path: string, origin: string): Promise<void> => {
        await assert.rejects(open(t, path, { origin }), /Unexpected server response: 403/);
      };
      await refused("/chat", "http://evil.example");
      await refused("/chat", "null");
      await refused("/small", "https://b.example");
      await open(t, "/chat", { origin: server.http });
      await open(t, "/small", { origin: "https://a.example" });
      assert.equal((await server.fetch("/chat")).status, 200);
      const plain = await server.fetch("/small");
      assert.deepEqual([plain.status, plain.headers.get("sec-websocket-version")], [426, "13"]);
    },
  );

  it("ends with 1009 for a message above its limit", TIMEOUT, async (t) => {
    const client = await open(t, "/small");
    client.send("x".repeat(100));
    assert.equal(String(await client.next()).length, 100);
    client.send("x".repeat(101));
    assert.equal((await client.closed).code, 1009);
  });

  it(
    "answers 426 to a request for no WebSocket, which is no failure of its handler",
    TIMEOUT,
    async () => {
      const seen = server.logs.length;
      const response = await server.fetch("/deno");
      assert.deepEqual([response.status, await response.text()], [426, "Upgrade Required\n"]);
      assert.deepEqual(
        server.logs.slice(seen).filter(({ level }) => level === "error"),
        [],
      );
    },
  );

  it("answers 500 if nothing receives its messages", TIMEOUT, async (t) => {
    await assert.rejects(open(t, "/bare"), /Unexpected server response: 500/);
    const { err } = (await server.until(({ msg }) => msg === "response failed")) as {
      err?: { message: string };
    };
    assert.match(err?.message ?? "", /neither accept\(\) nor an export webSocketMessage/);
  });

  it("works with listeners, as in Workers and Deno, and with Hono", TIMEOUT, async (t) => {
    const pair = await open(t, "/pair");
    for (const message of ["hello", "throw", "reject", "again"]) pair.send(message);
    assert.deepEqual(await pair.take(2), ["hello", "again"]);
    const deno = await open(t, "/deno");
    assert.equal(await deno.next(), "open 1");
    deno.send("x");
    assert.equal(await deno.next(), "got x");
    const hono = await open(t, "/hono?name=eve");
    hono.send("x");
    assert.equal(await hono.next(), "eve: x");
  });

  it("is closed with 1011 for a message that makes workers crash, alone", TIMEOUT, async (t) => {
    const clients = await Promise.all(
      Array.from({ length: 12 }, (_, at) => open(t, `/chat?name=n${at}`)),
    );
    for (const client of clients) assert.equal(await client.next(), "welcome");
    const [poisoner = assert.fail(), ...others] = clients;
    const state = { isOver: false };
    void poisoner.closed.then(() => (state.isOver = true));
    poisoner.send("crash");
    let said = 0;
    do {
      said++;
      for (const client of others) client.send(`m${said}`);
      for (const [at, client] of others.entries()) {
        const [name, count, text] = String(await client.next()).split(" ");
        assert.deepEqual([name, count, text], [`n${at + 1}`, String(said), `m${said}`]);
      }
    } while (!state.isOver);
    assert.equal((await poisoner.closed).code, 1011);
    for (const { socket } of others) assert.equal(socket.readyState, socket.OPEN);
  });

  it("outlives workers and reloads with its state, without a lost message", TIMEOUT, async (t) => {
    const SOCKETS = 40;
    const MESSAGES = 120;
    const clients = await Promise.all(
      Array.from({ length: SOCKETS }, (_, at) => open(t, `/chat?name=n${at}`)),
    );
    const bound = await open(t, "/pair");
    const reloads = new Reloads(server);
    const state = { isDone: false };
    const disturb = async (): Promise<number> => {
      let rounds = 0;
      for (; !state.isDone || rounds < 4; rounds++) {
        const newest = [...server.workers].at(-1);
        if (rounds % 2 === 0 && newest !== undefined) {
          killIfThere(newest[1]);
          await server.until(
            ({ msg, workerId }) =>
              msg?.startsWith("worker exited") === true && workerId === newest[0],
          );
        } else {
          writeFileSync(join(server.handlersDir, "chat.ts"), `${CHAT}// ${rounds}\n`);
          await reloads.next();
        }
      }
      return rounds;
    };
    const talk = async (client: WebSocketClient, at: number): Promise<Set<string>> => {
      const pids = new Set<string>();
      assert.equal(await client.next(), "welcome");
      for (let sent = 0; sent < MESSAGES; sent += 3) {
        for (const number of [1, 2, 3]) client.send(`m${sent + number}`);
        for (const number of [1, 2, 3]) {
          const [name, count, text, pid = ""] = String(await client.next()).split(" ");
          assert.deepEqual(
            [name, count, text],
            [`n${at}`, `${sent + number}`, `m${sent + number}`],
          );
          pids.add(pid);
        }
      }
      return pids;
    };
    const disturbing = disturb();
    const rounds: Promise<Set<string>>[] = clients.map(talk);
    const pids = await Promise.all(rounds);
    state.isDone = true;
    await disturbing;
    // A message after all of that has the state of before.
    for (const [at, client] of clients.entries()) {
      client.send("last");
      const [, count, , pid = ""] = String(await client.next()).split(" ");
      assert.equal(count, String(MESSAGES + 1));
      pids[at]?.add(pid);
    }
    assert.ok(
      pids.every((seen) => seen.size > 1),
      "each WebSocket has changed its worker",
    );
    assert.ok(clients.every(({ socket }) => socket.readyState === socket.OPEN));
    assert.equal((await bound.closed).code, 1012);
  });

  it("keeps a worker with listeners from being replaced as idle", TIMEOUT, async (t) => {
    const config = join(server.dir, "edgicorn.config.json");
    writeFileSync(config, JSON.stringify({ maxWorkerIdle: "1s" }));
    await new Reloads(server).next();
    const bound = await open(t, "/bound");
    bound.send("?");
    const pid = Number(await bound.next());
    const [id] = [...server.workers].find(([, each]) => each === pid) ?? [];
    const seen = server.logs.length;
    const untilIdle = (isOne: (workerId: unknown) => boolean): Promise<unknown> =>
      server.until(
        (line) =>
          server.logs.indexOf(line) >= seen &&
          line.msg === "worker retires" &&
          line["reason"] === "idle" &&
          isOne(line["workerId"]),
      );
    const pids = new Set([pid]);
    while (pids.size < 2) {
      const answers = Array.from({ length: 8 }, () => server.fetch("/bound"));
      // oxlint-disable-next-line no-await-in-loop -- Until the other worker has had a request.
      for (const answer of await Promise.all(answers)) pids.add(Number(await answer.text()));
    }
    await untilIdle((workerId) => workerId !== id);
    bound.send("?");
    assert.equal(Number(await bound.next()), pid);
    assert.equal((await bound.close()).code, 1000);
    await untilIdle((workerId) => workerId === id);
    writeFileSync(config, "{}");
    await new Reloads(server).next();
  });

  it(
    "ends with 1012 if its route is gone, and with 1001 if the server stops",
    TIMEOUT,
    async (t) => {
      const small = await open(t, "/small");
      const chat = await open(t, "/chat?name=eve");
      writeFileSync(
        join(server.handlersDir, "small.ts"),
        `export default () => new Response("no more")`,
      );
      await new Reloads(server).next();
      assert.equal((await small.closed).code, 1012);
      server.kill("SIGTERM");
      assert.equal((await chat.closed).code, 1001);
      assert.equal((await server.exit).code, 0);
    },
  );
});

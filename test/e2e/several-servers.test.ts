import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { eventually } from "../helpers/eventually.ts";
import { noRedis, RedisServer } from "../helpers/redis-server.ts";
import { runCommand } from "../helpers/run-command.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";

const CHAT = `
import { upgradeWebSocket } from "edgicorn";
export function GET(request, context) {
  if (request.headers.get("upgrade") === null) return context.sse("room", { first: "hello" });
  const { socket, response } = upgradeWebSocket(request);
  socket.subscribe("room");
  return response;
}
export async function POST(request, context) {
  context.publish("room", await request.text());
  return new Response(null, { status: 204 });
}
export function webSocketMessage(socket, message) {
  socket.publish("room", message);
}
`;

const NEWS = `
let version = 0;
export const config = { cache: { maxAgeMs: 3600000 } };
export const GET = () => new Response("version " + ++version, { headers: { "cache-tag": "news" } });
`;

const PURGE = `export const GET = async (_, context) => new Response(String(await context.purge("tag:news")));`;

async function read(server: TestServer): Promise<string> {
  return (await server.fetch("/news")).text();
}

async function publish(server: TestServer, body: string): Promise<void> {
  assert.equal((await server.fetch("/chat", { method: "POST", body })).status, 204);
}

async function isRefused(server: TestServer, key: string): Promise<boolean> {
  const { status } = await server.fetch("/limited", { headers: { "x-api-key": key } });
  return status === 429;
}

describe("servers with one relayStore", { timeout: 300_000, skip: noRedis }, () => {
  it("share the messages of topics, and purges of handlers and operators", async (t) => {
    const redis = await RedisServer.start(t);
    const config = {
      stores: { shared: { redis: `unix:${redis.socket}`, timeout: "20s" } },
      relayStore: "shared",
      rules: [{ path: "/limited", rateLimit: { rate: "500/h", key: { header: "x-api-key" } } }],
    };
    const start = (): Promise<TestServer> =>
      startServer(t, {
        handlers: { "chat.ts": CHAT, "news.ts": NEWS, "purge.ts": PURGE },
        files: { "edgicorn.config.json": JSON.stringify(config) },
        workers: 1,
        flags: ["--access-log", "off"],
      });
    const [here, there] = [await start(), await start()];
    const client = await WebSocketClient.open(t, `${there.http}/chat`);
    // Until the servers have met, messages do not arrive.
    let hears = false;
    const first = client.next().then((text) => {
      hears = true;
      return text;
    });
    await eventually(t, async () => {
      await publish(here, "first");
      return hears;
    });
    assert.equal(await first, "first");
    await publish(here, "last");
    for (let text = ""; text !== "last";) text = String(await client.next());

    // A message comes back to no server: the client hears it once.
    await publish(there, "own");
    await publish(here, "other");
    assert.deepEqual([await client.next(), await client.next()], ["own", "other"]);

    assert.deepEqual([await read(there), await read(there)], ["version 1", "version 1"]);
    assert.equal(await (await here.fetch("/purge")).text(), "0");
    await eventually(t, async () => (await read(there)) === "version 2");
    const { code } = await runCommand(["purge", "tag:news"], here.dir);
    assert.equal(code, 0);
    await eventually(t, async () => (await read(there)) === "version 3");

    // The other server would have to answer hundreds of times before it refused for itself.
    while (!(await isRefused(here, "a key")));
    let admitted = 0;
    await eventually(t, async () => (await isRefused(there, "a key")) || ++admitted === 500);
    assert.ok(admitted < 500);
    assert.equal(await isRefused(there, "another key"), false);
  });
});

import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type RequestListener, type Server, type ServerResponse } from "node:http";
import { join } from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import type { Status } from "../../runtime/control/operations.ts";
import { askServer } from "../helpers/ask-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { Reloads } from "../helpers/reloads.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import { findFreePort } from "../helpers/upstreams.ts";

const TIMEOUT = { timeout: 300_000 };

const CONFIG_FILE = "edgicorn.config.json";

/** An upstream that a test ends and starts again on the same port. */
class Upstream {
  readonly url: string;
  readonly #port: number;
  readonly #listener: RequestListener;
  #server: Server | null = null;

  constructor(port: number, listener: RequestListener) {
    this.url = `http://127.0.0.1:${port}`;
    this.#port = port;
    this.#listener = listener;
  }

  async start(): Promise<void> {
    if (this.#server !== null) return;
    this.#server = createServer(this.#listener).listen(this.#port, "127.0.0.1");
    await once(this.#server, "listening");
  }

  /** Ends it with all its connections: further ones are refused. */
  async end(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    if (server === null) return;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }
}

const owner = new SuiteOwner();
let one: Upstream;
let two: Upstream;
let server: TestServer;
/** Streams that the upstreams have begun, by path. */
const streams = new Map<string, ServerResponse>();

function listenerOf(name: string): RequestListener {
  return ({ url = "", method = "" }, response) => {
    if (url.startsWith("/stream")) {
      streams.set(url, response);
      response.write(`${name} begins`);
    } else response.end(`${name} ${method}`);
  };
}

function toConfig(settings: object): string {
  const health = { outTime: "100ms", slowStart: "0s" };
  return JSON.stringify({ proxy: "app", upstreams: { app: { health, ...settings } } });
}

/** Reloads the server with other settings of the group. */
async function use(settings: object): Promise<void> {
  writeFileSync(join(server.dir, CONFIG_FILE), toConfig(settings));
  await new Reloads(server).next();
}

async function text(path: string, init?: RequestInit): Promise<string> {
  const response = await server.fetch(path, init);
  return `${response.status} ${await response.text()}`;
}

async function readStatus(): Promise<NonNullable<Status["upstreams"]>[number]> {
  const { stdout } = await askServer(["status", "--json"], server.dir);
  const { upstreams = [] } = JSON.parse(stdout) as Status; // The answer of a server of this version.
  const [group] = upstreams;
  assert.ok(group !== undefined);
  return group;
}

before(async () => {
  one = new Upstream(await findFreePort(), listenerOf("one"));
  two = new Upstream(await findFreePort(), listenerOf("two"));
  owner.after(async () => {
    await Promise.all([one.end(), two.end()]);
  });
  server = await startServer(owner, {
    handlers: {},
    files: {
      [CONFIG_FILE]: toConfig({ servers: [one.url, two.url], balance: "round-robin" }),
    },
  });
});

beforeEach(() => Promise.all([one.start(), two.start()]));

after(() => owner.end());

describe("a group of upstream servers", TIMEOUT, () => {
  it("answers GETs and POSTs while one of them is away, and shows its state", async (t) => {
    await use({ servers: [one.url, two.url], balance: "round-robin" });
    assert.deepEqual(
      new Set([await text("/"), await text("/")]),
      new Set(["200 one GET", "200 two GET"]),
    );
    await one.end();
    // No byte of a request leaves for a port on which no server listens, so that a POST is sent again, too.
    for (let each = 0; each < 6; each++) {
      assert.equal(await text("/", { method: "POST", body: "x" }), "200 two POST");
      assert.equal(await text("/"), "200 two GET");
    }
    const { name, servers } = await readStatus();
    assert.equal(name, "app");
    assert.deepEqual(
      servers.map((each) => [each.name, each.state === "up"]),
      [
        [one.url, false],
        [two.url, true],
      ],
    );
    const { stdout } = await askServer(["status"], server.dir);
    assert.match(stdout, /^upstream app {2}http:\/\/127\.0\.0\.1:\d+ {2}up /m);
    assert.match(stdout, /, 1 failed, last: .*ECONNREFUSED/);
    const out = server.logs.find(({ msg }) => msg === "upstream server is out");
    assert.deepEqual([out?.["group"], out?.["upstream"]], ["app", one.url]);

    await one.start();
    await eventually(t, async () => (await text("/")) === "200 one GET");
    await server.until(({ msg, upstream }) => {
      return msg === "upstream server is up" && upstream === one.url;
    });
  });

  it("lets requests wait while its only server restarts", async (t) => {
    await use({ servers: [one.url], queueTimeout: "1h" });
    await one.end();
    const answers = [
      text("/"),
      text("/", { method: "POST", body: "x" }),
      text("/", { method: "POST", body: "y" }),
    ];
    await eventually(t, async () => (await readStatus()).queued === 3);
    await one.start();
    assert.deepEqual(await Promise.all(answers), ["200 one GET", "200 one POST", "200 one POST"]);
  });

  it("answers 503 with Retry-After when none has been up for long", async (t) => {
    await use({ servers: [one.url], queueTimeout: "100ms" });
    await one.end();
    await eventually(t, async () => {
      const response = await server.fetch("/");
      await response.text();
      return response.status === 503 && response.headers.get("retry-after") !== null;
    });
    await one.start();
    await eventually(t, async () => (await text("/")) === "200 one GET");
  });

  it("keeps a client at its server, and moves it when the server is away", async (t) => {
    await use({ servers: [one.url, two.url], sticky: "server" });
    const first = await server.fetch("/");
    const name = (await first.text()).slice(0, 3);
    const field = first.headers.get("set-cookie") ?? "";
    assert.match(field, /^server=[\w-]{16}; Path=\/; HttpOnly; SameSite=Lax$/);
    const [cookie = ""] = field.split(";");
    for (let each = 0; each < 4; each++) {
      const again = await server.fetch("/", { headers: { cookie } });
      assert.equal(again.headers.get("set-cookie"), null);
      assert.equal(await again.text(), `${name} GET`);
    }
    await (name === "one" ? one : two).end();
    const other = name === "one" ? "two" : "one";
    await eventually(t, async () => {
      const moved = await server.fetch("/", { headers: { cookie } });
      assert.equal(await moved.text(), `${other} GET`);
      return moved.headers.get("set-cookie")?.startsWith("server=") === true;
    });
  });

  it("finishes a stream of a server that a reload removes, and sends it nothing new", async (t) => {
    await use({ servers: [one.url] });
    const stream = await server.fetch("/stream-1");
    await use({ servers: [two.url] });
    assert.deepEqual(
      (await readStatus()).servers.map(({ name, state, inFlight }) => [name, state, inFlight]),
      [
        [two.url, "up", 0],
        [one.url, "draining", 1],
      ],
    );
    for (let each = 0; each < 3; each++) assert.equal(await text("/"), "200 two GET");
    // Neither does a reload that changes something else.
    await use({ servers: [two.url], queueLimit: 100 });
    streams.get("/stream-1")?.end(", one ends");
    assert.equal(await stream.text(), "one begins, one ends");
    await eventually(t, async () => (await readStatus()).servers.length === 1);
  });

  it("refuses a reload with wrong settings, and serves on", async () => {
    const config = toConfig({ servers: [`${one.url}/path`], balance: "random" });
    writeFileSync(join(server.dir, CONFIG_FILE), config);
    const refused = await new Reloads(server).refused();
    assert.match(refused, /upstreams\["app"\]\.servers\[0\] in edgicorn\.config\.json: found /);
    assert.match(refused, /upstreams\["app"\]\.balance in edgicorn\.config\.json: found "random"/);
    assert.match(await text("/"), /^200 (?:one|two) GET$/);
  });
});

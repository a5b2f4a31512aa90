import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request as startRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { after, before, describe, it, type TestContext } from "node:test";
import { type ClientOptions, WebSocket, WebSocketServer } from "ws";
import { askServer } from "../helpers/ask-server.ts";
import { isNodeEngine } from "../helpers/engine.ts";
import { eventually } from "../helpers/eventually.ts";
import { Reloads } from "../helpers/reloads.ts";
import { startServer, type TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import type { Owner } from "../helpers/temporary-folder.ts";
import { startRawUpstream, type TestUpstream } from "../helpers/upstreams.ts";

const TIMEOUT = { timeout: 300_000 };
const MIB = 1024 * 1024;

/** An upstream that echoes messages, and offers its sockets to the test. */
interface SocketUpstream extends TestUpstream {
  /** Waits for the WebSocket of a path. */
  socket(path: string): Promise<{ socket: WebSocket; request: IncomingMessage }>;
  openSockets(): number;
}

const owner = new SuiteOwner();
let server: TestServer;
let app: SocketUpstream;

before(async () => {
  app = await startSocketUpstream(owner);
  const broken = await startRawUpstream(owner, (socket) => {
    socket.once("data", (head) => {
      const [, path = ""] = String(head).split(" ");
      const key = /sec-websocket-key: (\S+)/i.exec(String(head))?.[1] ?? "";
      const start = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n";
      const accept = `Sec-WebSocket-Accept: ${toAccept(key)}\r\n`;
      if (path === "/accept")
        socket.write(`${start}Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n`);
      else if (path === "/other") socket.write(`${start}Upgrade: h2c\r\n${accept}\r\n`);
      else if (path === "/protocol") {
        socket.write(`${start}Upgrade: websocket\r\n${accept}Sec-WebSocket-Protocol: x\r\n\r\n`);
      } else if (path === "/extension") {
        socket.write(`${start}Upgrade: websocket\r\n${accept}Sec-WebSocket-Extensions: x\r\n\r\n`);
      } else if (path === "/first") {
        // A message and a close frame in the packet of the head.
        const head101 = Buffer.from(`${start}Upgrade: websocket\r\n${accept}\r\n`);
        socket.write(
          Buffer.concat([head101, Buffer.from("\x81\x05first\x88\x02\x0f\xa0", "latin1")]),
        );
      } else if (path === "/garbage") {
        socket.write(`${start}Upgrade: websocket\r\n${accept}\r\n`);
        socket.write(Buffer.alloc(100, 0xff));
      } else if (path === "/text") {
        socket.write(`${start}Upgrade: websocket\r\n${accept}\r\n`);
        socket.write(Buffer.from([0x81, 0x01, 0xff]));
      } else if (path === "/large") {
        socket.write(`${start}Upgrade: websocket\r\n${accept}\r\n`);
        // The head of a frame of 16 MiB and a byte.
        socket.write(Buffer.from([0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1]));
      }
    });
  });
  server = await startServer(owner, {
    handlers: { "route.ts": `export default () => new Response("handler")` },
    https: true,
    files: { "edgicorn.config.json": JSON.stringify(toConfig(app, broken)) },
    flags: ["--access-log-fields", "common"],
  });
});

after(() => owner.end());

function toConfig(upstream: TestUpstream, broken: TestUpstream): object {
  return {
    proxy: upstream.url,
    rules: [
      { path: "/broken/**", proxy: { to: broken.url, stripPrefix: "/broken" } },
      { path: "/private/**", basicAuth: { users: { eve: "$1$abc$iCQ2D3nhptRYi27fDYv2s1" } } },
      { path: "/cached/**", cache: { maxAge: "1m" } },
      { path: "/fields", setFields: { "x-rule": "yes" } },
    ],
  };
}

describe("a WebSocket through a proxy", () => {
  it("echoes text and binary messages of all sizes", TIMEOUT, async (t) => {
    const socket = await open(t, `${toUrl(server.http)}/echo`);
    for (const size of [0, 1, 125, 126, 15_999, 16_000, 16_001, 65_535, 65_536, MIB, 15 * MIB]) {
      const bytes = randomBytes(size);
      socket.send(bytes);
      const [echoed, isBinary] = await nextMessage(socket);
      assert.equal(isBinary, true);
      assert.equal(toHash(echoed), toHash(bytes), `${size} bytes`);
    }
    for (const text of ["", "plain", "ü€😀".repeat(10_000)]) {
      socket.send(text);
      const [echoed, isBinary] = await nextMessage(socket);
      assert.equal(isBinary, false);
      assert.equal(echoed.toString(), text);
    }
    await closed(socket, () => socket.close(1000));
  });

  it("does so through TLS", TIMEOUT, async (t) => {
    const socket = await open(t, `${toUrl(server.https)}/echo`);
    for (const size of [0, 125, 16_000, MIB, 15 * MIB]) {
      const bytes = randomBytes(size);
      socket.send(bytes);
      const [echoed] = await nextMessage(socket);
      assert.equal(toHash(echoed), toHash(bytes), `${size} bytes`);
    }
  });

  it("keeps the order of many messages, large and small ones", TIMEOUT, async (t) => {
    const socket = await open(t, `${toUrl(server.http)}/echo`);
    const sent = Array.from({ length: 400 }, (_, at) => randomBytes(at % 20 === 0 ? MIB : at));
    const echoed: string[] = [];
    const all = new Promise<void>((resolve) => {
      socket.on("message", (bytes: Buffer) => {
        if (echoed.push(toHash(bytes)) === sent.length) resolve();
      });
    });
    for (const bytes of sent) socket.send(bytes);
    await all;
    assert.deepEqual(echoed, sent.map(toHash));
  });

  it("joins messages that come in fragments, in both directions", TIMEOUT, async (t) => {
    const path = "/fragments";
    const client = await open(t, toUrl(server.http) + path);
    const { socket: upstream } = await app.socket(path);
    for (const [from, to] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      const arriving = nextMessage(to);
      from.send("one ", { fin: false });
      from.ping("between");
      from.send("two ", { fin: false });
      from.send("three", { fin: true });
      assert.equal(String((await arriving)[0]), "one two three");
    }
  });

  it(
    "passes the fields of the handshake on, but for those of the connection",
    TIMEOUT,
    async (t) => {
      const path = "/fields?a=b%2F";
      const client = new WebSocket(toUrl(server.http) + path, ["chat.v1", "chat.v2"], {
        origin: "https://app.example",
        headers: { cookie: "a=1", "x-own": "2" },
      });
      t.after(() => client.terminate());
      const [answer] = (await once(client, "upgrade")) as [IncomingMessage];
      const { request } = await app.socket(path);
      const { headers } = request;
      assert.equal(request.url, path);
      assert.equal(headers.origin, "https://app.example");
      assert.equal(headers.cookie, "a=1");
      assert.equal(headers["x-own"], "2");
      assert.equal(headers["sec-websocket-protocol"], "chat.v1,chat.v2");
      assert.equal(headers["sec-websocket-version"], "13");
      assert.equal(headers["sec-websocket-extensions"], undefined);
      assert.equal(headers["x-forwarded-for"], "127.0.0.1");
      assert.equal(headers.via, "1.1 edgicorn");
      assert.equal(client.protocol, "chat.v1");
      assert.equal(answer.headers["sec-websocket-extensions"], undefined);
      assert.equal(answer.headers["set-cookie"]?.[0], "session=1");
      assert.equal(answer.headers["x-rule"], "yes");
      assert.equal(answer.headers["keep-alive"], undefined);
    },
  );

  it("passes the end of the client on", TIMEOUT, async (t) => {
    for (const [act, code, reason] of [
      [(client: WebSocket) => client.close(1000), 1000, ""],
      [(client: WebSocket) => client.close(4001, "bye ü"), 4001, "bye ü"],
      [(client: WebSocket) => client.close(), 1005, ""],
      // uWebSockets.js does not tell such codes.
      [
        (client: WebSocket) => client.close(3001, "lost"),
        isNodeEngine() ? 3001 : 1005,
        isNodeEngine() ? "lost" : "",
      ],
      [(client: WebSocket) => client.terminate(), 1006, ""],
    ] as const) {
      const path = `/client-ends/${code}/${reason}/${randomBytes(4).toString("hex")}`;
      const client = await open(t, encodeURI(toUrl(server.http) + path));
      const { socket: upstream } = await app.socket(encodeURI(path));
      client.send("last words");
      const arriving = nextMessage(upstream);
      const end = await closed(upstream, () => act(client));
      assert.equal(String((await arriving)[0]), "last words");
      assert.deepEqual(end, [code, reason]);
    }
  });

  it("passes the end of the upstream on, and 1011 if it is lost", TIMEOUT, async (t) => {
    for (const [act, code, reason] of [
      [(upstream: WebSocket) => upstream.close(1000), 1000, ""],
      [(upstream: WebSocket) => upstream.close(3001, "bye ü"), 3001, "bye ü"],
      [(upstream: WebSocket) => upstream.close(1012), 1012, ""],
      [(upstream: WebSocket) => upstream.close(), 1005, ""],
      [(upstream: WebSocket) => upstream.terminate(), 1011, ""],
    ] as const) {
      const path = `/upstream-ends/${randomBytes(4).toString("hex")}`;
      const client = await open(t, toUrl(server.http) + path);
      const { socket: upstream } = await app.socket(path);
      upstream.send(Buffer.alloc(3 * MIB, 1));
      const arriving = nextMessage(client);
      const end = await closed(client, () => act(upstream));
      // A connection that is cut loses the bytes that have not left.
      if (code !== 1011) assert.equal((await arriving)[0].length, 3 * MIB);
      assert.deepEqual(end, [code, reason]);
      if (code !== 1011) await eventually(t, () => upstream.readyState === WebSocket.CLOSED);
    }
  });

  it("lets the other side answer pings", TIMEOUT, async (t) => {
    const path = "/pings";
    const client = await open(t, toUrl(server.http) + path);
    const { socket: upstream } = await app.socket(path);
    const [pinged, ponged] = [once(client, "ping"), once(upstream, "pong")];
    upstream.ping("from upstream");
    assert.equal(String((await pinged)[0]), "from upstream");
    assert.equal(String((await ponged)[0]), "from upstream");
    const [up, back] = [once(upstream, "ping"), once(client, "pong")];
    client.ping("from client");
    assert.equal(String((await up)[0]), "from client");
    assert.equal(String((await back)[0]), "from client");
  });

  it("reads no more of the upstream than a slow client takes", TIMEOUT, async (t) => {
    const path = "/slow";
    const client = await open(t, toUrl(server.http) + path);
    const { socket: upstream } = await app.socket(path);
    client.pause();
    const sent = Array.from({ length: 12 }, () => randomBytes(8 * MIB));
    for (const bytes of sent) upstream.send(bytes);
    // A second WebSocket of the same server passes meanwhile.
    const other = await open(t, `${toUrl(server.http)}/echo`);
    for (let at = 0; at < 20; at++) {
      other.send(Buffer.alloc(MIB, at));
      await nextMessage(other);
    }
    assert.ok(upstream.bufferedAmount > 32 * MIB, `${upstream.bufferedAmount} bytes wait`);
    const arrived: string[] = [];
    const all = new Promise<void>((resolve) => {
      client.on("message", (bytes: Buffer) => {
        if (arrived.push(toHash(bytes)) === sent.length) resolve();
      });
    });
    client.resume();
    await all;
    assert.deepEqual(arrived, sent.map(toHash));
  });

  it("closes with 1009 after a message that is too large", TIMEOUT, async (t) => {
    const path = "/too-large";
    const client = await open(t, toUrl(server.http) + path);
    const { socket: upstream } = await app.socket(path);
    const atUpstream = closed(upstream, () => {});
    const atClient = await closed(client, () => client.send(Buffer.alloc(16 * MIB + 1)));
    assert.equal(atClient[0], 1009);
    assert.equal((await atUpstream)[0], 1009);

    const other = await open(t, `${toUrl(server.http)}/broken/large`);
    assert.equal((await closed(other, () => {}))[0], 1009);
  });

  it("cuts a client that announces a far larger message", TIMEOUT, async (t) => {
    const path = "/far-too-large";
    const client = await open(t, toUrl(server.http) + path);
    const { socket: upstream } = await app.socket(path);
    const atUpstream = closed(upstream, () => {});
    const atClient = await closed(client, () => client.send(Buffer.alloc(33 * MIB)));
    assert.equal(atClient[0], isNodeEngine() ? 1009 : 1006);
    assert.equal((await atUpstream)[0], 1009);
  });

  it("cuts a client that sends pings and does not read the answers", TIMEOUT, async (t) => {
    const path = "/ping-flood";
    const client = await open(t, toUrl(server.http) + path);
    const { socket: upstream } = await app.socket(path);
    const atUpstream = closed(upstream, () => {});
    client.pause();
    const ping = async (): Promise<boolean> =>
      new Promise((resolve) => {
        client.ping(Buffer.alloc(125), true, (error) => resolve(!error));
      });
    let isSent = true;
    while (isSent) isSent = (await Promise.all(Array.from({ length: 100 }, ping))).every(Boolean);
    assert.equal((await atUpstream)[0], 1006);
  });

  it("passes on messages that come with the answer of the upstream", TIMEOUT, async (t) => {
    const client = new WebSocket(`${toUrl(server.http)}/broken/first`);
    t.after(() => client.terminate());
    const [message, end] = await Promise.all([nextMessage(client), closed(client, () => {})]);
    assert.equal(String(message[0]), "first");
    assert.equal(end[0], 4000);
  });

  it("answers 502 where the upstream's 101 is wrong", TIMEOUT, async (t) => {
    for (const path of ["accept", "other", "protocol", "extension"]) {
      const response = await refused(t, `${toUrl(server.http)}/broken/${path}`);
      assert.equal(response.statusCode, 502, path);
    }
  });

  it("closes with 1011 after invalid frames of the upstream", TIMEOUT, async (t) => {
    const client = await open(t, `${toUrl(server.http)}/broken/garbage`);
    assert.equal((await closed(client, () => {}))[0], 1011);
    const other = await open(t, `${toUrl(server.http)}/broken/text`);
    assert.equal((await closed(other, () => {}))[0], 1011);
  });

  it("passes the refusal of an upstream on as it is", TIMEOUT, async (t) => {
    const response = await refused(t, `${toUrl(server.http)}/refuse`);
    assert.equal(response.statusCode, 403);
    assert.equal(response.headers["x-own"], "yes");
    assert.equal(await toText(response), "refuse");
  });

  it("obeys the rules of its path", TIMEOUT, async (t) => {
    const response = await refused(t, `${toUrl(server.http)}/private/echo`);
    assert.equal(response.statusCode, 401);
    // No answer of a cache takes the place of a WebSocket.
    for (let at = 0; at < 2; at++) {
      const path = `/cached/echo?${at}`;
      const client = await open(t, toUrl(server.http) + path);
      client.close();
    }
  });

  it("answers 426 to another version of the protocol", TIMEOUT, async (t) => {
    const response = await refused(t, `${toUrl(server.http)}/echo`, {
      headers: { "sec-websocket-version": "8" },
    });
    assert.equal(response.statusCode, 426);
    assert.equal(response.headers["sec-websocket-version"], "13");
  });

  it("gets the ordinary answer where there is no proxy", TIMEOUT, async (t) => {
    const response = await refused(t, `${toUrl(server.http)}/route`);
    assert.equal(response.statusCode, 200);
    assert.equal(await toText(response), "handler");
  });

  it("is an ordinary request without a valid handshake", TIMEOUT, async () => {
    const key = "dGhlIHNhbXBsZSBub25jZQ==";
    for (const fields of [
      `Connection: close\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${key}`,
      `Connection: close, Upgrade\r\nSec-WebSocket-Key: ${key}`,
      `Connection: close, Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Key: ${key}`,
      `Connection: close, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: !GhlIHNhbXBsZSBub25jZQ==`,
    ]) {
      const text = await server.raw(
        `GET /plain HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Version: 13\r\n${fields}\r\n\r\n`,
      );
      assert.match(text, /^HTTP\/1.1 403 /, fields);
      assert.match(text, /no WebSocket here/);
    }
  });

  it("writes its access line at the end, with the bytes for the client", TIMEOUT, async (t) => {
    const client = await open(t, `${toUrl(server.http)}/echo/logged`);
    client.send("12345");
    await nextMessage(client);
    assert.equal(
      server.accessLines.some(({ path }) => path === "/echo/logged"),
      false,
    );
    client.close();
    const line = await server.untilAccess({ path: "/echo/logged" });
    assert.equal(line["status"], 101);
    assert.equal(line["bytes"], 5);
    assert.equal(line["upstream"], app.url);
    assert.equal(line["upstreamStatus"], 101);
  });

  it("outlives a reload", TIMEOUT, async (t) => {
    const sockets = [
      await open(t, `${toUrl(server.http)}/echo`),
      await open(t, `${toUrl(server.https)}/echo`),
    ];
    await new Reloads(server).next();
    for (const socket of sockets) {
      socket.send("still here");
      assert.equal(String((await nextMessage(socket))[0]), "still here");
    }
  });

  it("serves 500 at once, and holds none of them afterwards", TIMEOUT, async (t) => {
    let earlier = await traffic(server);
    // The server may still be closing WebSockets of the tests before.
    await eventually(t, async () => {
      earlier = await traffic(server);
      return earlier.open === 0;
    });
    const sockets = await Promise.all(
      Array.from({ length: 500 }, () => open(t, `${toUrl(server.http)}/echo`)),
    );
    const during = await traffic(server);
    assert.equal(during.open - earlier.open, 500);
    await Promise.all(
      sockets.map(async (socket, at) => {
        const arriving = nextMessage(socket);
        socket.send(`message ${at}`);
        assert.equal(String((await arriving)[0]), `message ${at}`);
        if (at % 2 === 0) socket.terminate();
        else await closed(socket, () => socket.close());
      }),
    );
    await eventually(t, async () => {
      const now = await traffic(server);
      return now.open <= earlier.open && now.connections <= earlier.connections;
    });
    await eventually(t, () => app.openSockets() === 0);
  });
});

describe("a server with WebSockets that stops", () => {
  it(
    "counts them as requests, closes them with 1001 after the grace, and exits",
    TIMEOUT,
    async (t) => {
      const own = await startServer(t, {
        handlers: {},
        files: { "edgicorn.config.json": JSON.stringify({ proxy: app.url }) },
        flags: ["--drain-grace", "1s", "--max-requests", "2", "--access-log-fields", "common"],
      });
      const url = `${toUrl(own.http)}/echo`;
      const [first, second] = [await open(t, url), await open(t, url)];
      assert.equal((await refused(t, url)).statusCode, 503);
      await closed(first, () => first.close());
      await eventually(t, async () => (await traffic(own)).open === 1);
      const third = await open(t, url);
      const ends = [closed(second, () => {}), closed(third, () => {})];
      own.kill("SIGTERM");
      for (const [code] of await Promise.all(ends)) assert.equal(code, 1001);
      assert.equal((await own.exit).code, 0);
      const cut = own.accessLines.filter(({ limit }) => limit === "drainGrace");
      assert.equal(cut.length, 2);
    },
  );

  it("tells its clients that an upstream was killed", TIMEOUT, async (t) => {
    const upstream = await startProcess(t);
    const own = await startServer(t, {
      handlers: {},
      files: { "edgicorn.config.json": JSON.stringify({ proxy: upstream.url }) },
    });
    const client = await open(t, toUrl(own.http));
    client.send("hello");
    assert.equal(String((await nextMessage(client))[0]), "hello");
    const [code] = await closed(client, () => upstream.child.kill("SIGKILL"));
    assert.equal(code, 1011);
  });
});

/** Starts an upstream that echoes, in a process of its own. */
async function startProcess(t: TestContext): Promise<{ child: ChildProcess; url: string }> {
  const code = `
    import { WebSocketServer } from "ws";
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    server.on("connection", (socket) => socket.on("message", (bytes) => socket.send(bytes)));
    server.on("listening", () => console.log(server.address().port));
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  t.after(() => child.kill("SIGKILL"));
  const [port] = (await once(createInterface(child.stdout), "line")) as [string];
  return { child, url: `http://127.0.0.1:${port}` };
}

/** Asks for a WebSocket, and returns the response instead of it. */
async function refused(
  t: TestContext,
  url: string,
  { headers = {} }: { headers?: Record<string, string> } = {},
): Promise<IncomingMessage> {
  const request = startRequest(url.replace(/^ws/, "http"), {
    headers: {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
      "sec-websocket-version": "13",
      ...headers,
    },
  });
  t.after(() => request.destroy());
  request.end();
  const [response] = (await once(request, "response")) as [IncomingMessage];
  return response;
}

async function toText(response: IncomingMessage): Promise<string> {
  let text = "";
  for await (const bytes of response) text += String(bytes);
  return text;
}

/** Returns the present numbers of a server. */
async function traffic(of: TestServer): Promise<{ open: number; connections: number }> {
  const { stdout } = await askServer(["status", "--json"], of.dir);
  // The parts of the status that the tests read.
  const { traffic: numbers } = JSON.parse(stdout) as {
    traffic: { requests: { open: number }; connections: { open: number } };
  };
  return { open: numbers.requests.open, connections: numbers.connections.open };
}

function toAccept(key: string): string {
  return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

function toHash(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function toUrl(origin: string): string {
  return origin.replace(/^http/, "ws");
}

/** Opens a WebSocket, and cuts it after the test. */
async function open(
  t: TestContext,
  url: string,
  { protocols = [], ...options }: ClientOptions & { protocols?: string[] } = {},
): Promise<WebSocket> {
  const socket = new WebSocket(url, protocols, {
    rejectUnauthorized: false,
    maxPayload: 0,
    ...options,
  });
  t.after(() => socket.terminate());
  await once(socket, "open");
  socket.on("error", () => {});
  return socket;
}

async function nextMessage(socket: WebSocket): Promise<[Buffer, boolean]> {
  const [bytes, isBinary] = (await once(socket, "message")) as [Buffer, boolean];
  return [bytes, isBinary];
}

/** Does something, and returns the code and the reason with which a socket closes. */
async function closed(socket: WebSocket, act: () => void): Promise<[number, string]> {
  const closing = once(socket, "close") as Promise<[number, Buffer]>;
  act();
  const [code, reason] = await closing;
  return [code, reason.toString()];
}

async function startSocketUpstream(t: Owner): Promise<SocketUpstream> {
  const http = createServer((_, response) => response.writeHead(403).end("no WebSocket here"));
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 0 });
  sockets.on("headers", (lines) => lines.push("Set-Cookie: session=1"));
  const here = new Map<string, { socket: WebSocket; request: IncomingMessage }>();
  const waiting = new Map<string, () => void>();
  http.on("upgrade", (request, stream, head) => {
    const { url = "/" } = request;
    if (url.startsWith("/refuse")) {
      stream.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 6\r\nx-own: yes\r\n\r\nrefuse");
      return;
    }
    sockets.handleUpgrade(request, stream, head, (socket) => {
      socket.on("error", () => {});
      if (url.startsWith("/echo")) {
        socket.on("message", (bytes, isBinary) => socket.send(bytes, { binary: isBinary }));
      }
      here.set(url, { socket, request });
      waiting.get(url)?.();
    });
  });
  t.after(() => {
    for (const socket of sockets.clients) socket.terminate();
    http.closeAllConnections();
    http.close();
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    openSockets: () => sockets.clients.size,
    socket: async (path) => {
      for (;;) {
        const found = here.get(path);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => waiting.set(path, resolve));
      }
    },
  };
}

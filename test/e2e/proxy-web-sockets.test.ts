import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, request as startRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { createInterface } from "node:readline";
import { after, before, describe, it, type TestContext } from "node:test";
import { type ClientOptions, WebSocket, WebSocketServer } from "ws";
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
      if (path === "/accept") socket.write(`${start}Upgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n`);
      else if (path === "/other") socket.write(`${start}Upgrade: h2c\r\n${accept}\r\n`);
      else if (path === "/protocol") {
        socket.write(`${start}Upgrade: websocket\r\n${accept}Sec-WebSocket-Protocol: x\r\n\r\n`);
      } else if (path === "/extension") {
        socket.write(`${start}Upgrade: websocket\r\n${accept}Sec-WebSocket-Extensions: x\r\n\r\n`);
      } else if (path === "/first") {
        // A message and a close frame in the packet of the head.
        const head101 = Buffer.from(`${start}Upgrade: websocket\r\n${accept}\r\n`);
        socket.write(Buffer.concat([head101, Buffer.from("\x81\x05first\x88\x02\x0f\xa0", "latin1")]));
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
});

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
  const socket = new WebSocket(url, protocols, { rejectUnauthorized: false, maxPayload: 0, ...options });
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
    socket: async (path) => {
      for (;;) {
        const found = here.get(path);
        if (found !== undefined) return found;
        await new Promise<void>((resolve) => waiting.set(path, resolve));
      }
    },
  };
}

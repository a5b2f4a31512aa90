import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { connect } from "node:http2";
import { after, before, describe, it } from "node:test";
import { WebSocket } from "ws";
import { eventually } from "../helpers/eventually.ts";
import { startPythonServer } from "../helpers/python-server.ts";
import { skipWithoutPython } from "../helpers/python.ts";
import { Reloads } from "../helpers/reloads.ts";
import type { LogLine, TestServer } from "../helpers/start-server.ts";
import { SuiteOwner } from "../helpers/suite-owner.ts";
import type { Owner } from "../helpers/temporary-folder.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";
import { FrameClient } from "../helpers/web-socket-frames/frame-client.ts";

const TIMEOUT = { timeout: 300_000 };
const skip = skipWithoutPython();

function has(text: string): (line: LogLine) => boolean {
  return ({ msg }) => msg?.includes(text) === true;
}

/** The answer to a request for a WebSocket that the application does not accept. */
interface Refusal {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  body: string;
}

async function refusalOf(t: Owner, url: string): Promise<Refusal> {
  const socket = new WebSocket(url.replace(/^http/, "ws"), { rejectUnauthorized: false });
  socket.on("error", () => {});
  t.after(() => socket.terminate());
  const event = await once(socket, "unexpected-response");
  // The second argument of the event is the response.
  const response = event[1] as IncomingMessage;
  const body = (await response.setEncoding("utf8").toArray()).join("");
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

describe("a WebSocket of an ASGI application", { ...TIMEOUT, skip }, () => {
  const owner = new SuiteOwner();
  let server: TestServer;
  /** Uses the usual engine, and the Node engine with TLS. */
  let bases: readonly string[];

  before(async () => {
    server = await startPythonServer(owner, {
      app: "asgi_sockets:app",
      https: true,
      flags: ["--http2", "on", "--web-socket-buffer", "256kb", "--drain-grace", "5s"],
    });
    bases = [server.http, server.https];
  });
  after(() => owner.end());

  const open = (t: Owner, path: string): Promise<WebSocketClient> =>
    WebSocketClient.open(t, server.http + path);

  /** Returns the number of the last message that the application has sent. */
  const seen = async (name: string): Promise<unknown> => {
    const body = await (await server.fetch("/seen")).text();
    return (JSON.parse(body) as Record<string, unknown>)[name];
  };

  it("has a complete scope", TIMEOUT, async (t) => {
    const client = await WebSocketClient.open(t, `${server.http}/scope/%C3%A9?a=%20b`, {
      protocols: ["chat", "superchat"],
      headers: { "x-a": "1", "x-forwarded-for": "192.0.2.7" },
    });
    const scope = JSON.parse(String(await client.next())) as Record<string, unknown>;
    assert.deepEqual(await client.closed, { code: 1000, reason: "" });
    const headers = new Map(scope["headers"] as [string, string][]);
    assert.equal(headers.has("x-forwarded-for"), false);
    assert.deepEqual(
      { ...scope, headers: [headers.get("host"), headers.get("x-a")] },
      {
        type: "websocket",
        asgi: { version: "3.0", spec_version: "2.5" },
        http_version: "1.1",
        server: ["127.0.0.1", server.port("http")],
        client: ["127.0.0.1", 0],
        scheme: "ws",
        root_path: "",
        path: "/scope/é",
        raw_path: "/scope/%C3%A9",
        query_string: "a=%20b",
        headers: [`127.0.0.1:${server.port("http")}`, "1"],
        subprotocols: ["chat", "superchat"],
        state: {},
        extensions: { "websocket.http.response": {} },
      },
    );
    const secure = await WebSocketClient.open(t, `${server.https}/scope`);
    assert.match(String(await secure.next()), /"scheme": "wss"/);
  });

  it("echoes text and bytes of all sizes, with both engines", TIMEOUT, async (t) => {
    for (const base of bases) {
      const client = await WebSocketClient.open(t, `${base}/echo`);
      for (const size of [0, 1, 125, 126, 16_000, 65_536, 1024 * 1024]) {
        const bytes = randomBytes(size);
        client.send(bytes);
        assert.deepEqual(await client.next(), bytes);
      }
      client.send("ünï");
      assert.equal(await client.next(), "ünï");
      for (let at = 0; at < 200; at++) client.send(`m${at}`);
      const echoed = await client.take(200);
      assert.deepEqual(
        echoed,
        Array.from({ length: 200 }, (_, at) => `m${at}`),
      );
      client.send("large 8388608");
      assert.equal((await client.next()).length, 8 * 1024 * 1024);
      assert.deepEqual(await client.close(4321), { code: 4321, reason: "" });
    }
  });

  it("works over HTTP/2 (RFC 8441)", TIMEOUT, async (t) => {
    const session = connect(server.https, { rejectUnauthorized: false });
    t.after(() => session.destroy());
    await once(session, "remoteSettings");
    const fields = { ":path": "/echo", ":scheme": "https" };
    const { client, head } = await FrameClient.openOver(t, session, fields);
    assert.equal(head[":status"], 200);
    client.send({ payload: "over a stream" });
    assert.equal(String((await client.next())?.payload), "over a stream");
    const refused = session.request({
      ...fields,
      ":method": "CONNECT",
      ":protocol": "websocket",
      ":path": "/forbid",
      "sec-websocket-version": "13",
    });
    // The first argument of the event has the fields.
    const [answer] = (await once(refused, "response")) as [Record<string, unknown>];
    assert.equal(answer[":status"], 403);
  });

  it("gets the subprotocol and the headers of its acceptance", TIMEOUT, async (t) => {
    for (const base of bases) {
      const socket = new WebSocket(base.replace(/^http/, "ws") + "/protocol", ["a", "b"], {
        rejectUnauthorized: false,
      });
      t.after(() => socket.terminate());
      const opened = once(socket, "open");
      const event = await once(socket, "upgrade");
      // The argument of the event is the response.
      const { headers } = event[0] as IncomingMessage;
      await opened;
      assert.equal(socket.protocol, "b");
      assert.equal(headers["x-own"], "caf\u00e9");
      assert.deepEqual(headers["set-cookie"], ["a=1", "b=2"]);
    }
  });

  const refusals: [path: string, status: number, body: RegExp][] = [
    ["forbid", 403, /^$/],
    ["deny", 401, /^(?:first, ){20000}then no more$/],
    ["fail", 500, /^Internal Server Error\n$/],
    ["nothing", 500, /^Internal Server Error\n$/],
    ["early-send", 500, /^Internal Server Error\n$/],
    ["foreign-protocol", 500, /^Internal Server Error\n$/],
  ];
  for (const [path, status, body] of refusals) {
    it(`answers /${path} with ${status}`, TIMEOUT, async (t) => {
      for (const base of bases) {
        const refusal = await refusalOf(t, `${base}/${path}`);
        assert.equal(refusal.status, status);
        assert.match(refusal.body, body);
        if (path === "deny") assert.equal(refusal.headers["www-authenticate"], "Bearer");
      }
    });
  }

  it("names in the log why it refused, and tells the application the end", TIMEOUT, async () => {
    await server.until(has("after the refusal: websocket.disconnect"));
    for (const reason of [
      "ValueError: before accept",
      "the application ended without websocket.accept or websocket.close",
      "Cannot send 'websocket.send': expected websocket.accept",
      "found the subprotocol 'not-offered', expected one that the client offers: []",
    ]) {
      await server.until(has(reason));
    }
  });

  const ends: [words: string, end: { code: number; reason: string }, log: string | null][] = [
    ["close 4001 as told", { code: 4001, reason: "as told" }, null],
    ["close 1005", { code: 1005, reason: "" }, null],
    ["return", { code: 1000, reason: "" }, null],
    ["raise", { code: 1011, reason: "" }, "application failed: ValueError: as told"],
    ["close 1006", { code: 1011, reason: "" }, "found the code 1006, expected 1000 to 1014"],
    [`close 1000 ${"x".repeat(124)}`, { code: 1011, reason: "" }, "found a reason of 124 bytes"],
    ["large 8388609", { code: 1011, reason: "" }, "expected at most 8388608, so send it in parts"],
    ["empty", { code: 1011, reason: "" }, "found neither bytes nor text"],
  ];
  for (const [words, end, log] of ends) {
    it(`ends with ${end.code} after "${words.slice(0, 20)}"`, TIMEOUT, async (t) => {
      const client = await open(t, "/echo");
      client.send(words);
      assert.deepEqual(await client.closed, end);
      if (log !== null) await server.until(has(log));
    });
  }

  it("tells the application how the client ended", TIMEOUT, async (t) => {
    const polite = await open(t, "/echo?polite");
    polite.socket.close(4000, "enough");
    await server.until(has("polite disconnect 4000 enough"));
    const gone = await open(t, "/echo?gone");
    gone.socket.terminate();
    await server.until(has("gone disconnect 1006"));
  });

  it("ends a client that sends more than its limits", TIMEOUT, async (t) => {
    for (const [at, base] of bases.entries()) {
      const large = await WebSocketClient.open(t, `${base}/echo`);
      large.send(Buffer.alloc(1024 * 1024 + 1));
      assert.equal((await large.closed).code, 1009);
      // The application reads none of its messages.
      const fast = await WebSocketClient.open(t, `${base}/silent?late${at}`);
      for (let count = 0; count < 40; count++) fast.send(Buffer.alloc(16_384));
      assert.equal((await fast.closed).code, 1013);
      // What the client sent before comes before the end.
      await server.fetch("/read");
      await server.until(has(`late${at} read some`));
    }
  });

  it("is refused for pages of other origins", TIMEOUT, async (t) => {
    const origin = "https://other.example";
    const refused = WebSocketClient.open(t, `${server.http}/echo`, { origin });
    await assert.rejects(refused, /403/);
  });

  it("waits for a slow client, and loses nothing", TIMEOUT, async (t) => {
    for (const [at, base] of bases.entries()) {
      const slow = await WebSocketClient.open(t, `${base}/flood?slow${at}=400`);
      slow.socket.pause();
      slow.send("begin");
      // Others are served meanwhile.
      const other = await WebSocketClient.open(t, `${base}/echo`);
      other.send("meanwhile");
      assert.equal(await other.next(), "meanwhile");
      await eventually(t, async () => (await seen(`slow${at}`)) !== undefined);
      assert.notEqual(await seen(`slow${at}`), 399, "more than fits into all buffers");
      slow.socket.resume();
      for (let number = 0; number < 400; number++) {
        const message = String(await slow.next());
        assert.equal(message.length, 65_536);
        assert.equal(message.split(" ")[0], String(number));
      }
      assert.equal(await slow.next(), "end");
    }
  });

  it("stops an application that sends to a client that is gone", TIMEOUT, async (t) => {
    for (const [at, base] of bases.entries()) {
      const name = `gone${at}`;
      const client = await WebSocketClient.open(t, `${base}/flood?${name}=1000000`);
      client.socket.pause();
      // More messages than the primary gives to a worker in advance: the end waits behind them.
      for (let count = 0; count < 40; count++) client.send(`unread ${count}`);
      await eventually(t, async () => (await seen(name)) !== undefined);
      client.socket.terminate();
      await server.until(has(`${name} cannot send: ClientLeft`));
    }
  });

  it("reaches 200 clients at once", TIMEOUT, async (t) => {
    const clients = await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        WebSocketClient.open(t, `${bases[at % 2] ?? ""}/room`),
      ),
    );
    for (const client of clients) assert.equal(await client.next(), "in");
    for (const [at, client] of clients.entries()) if (at % 20 === 0) client.send(`from ${at}`);
    const expected = Array.from({ length: 10 }, (_, at) => `from ${at * 20}`).toSorted();
    for (const client of clients) {
      assert.deepEqual((await client.take(10)).map(String).toSorted(), expected);
    }
    await Promise.all(clients.map((client) => client.close()));
  });

  it(
    "ends with 1012 at a reload, when its worker is lost, and with 1001 at the end",
    TIMEOUT,
    async (t) => {
      const firstPid = await (await server.fetch("/pid")).text();
      const first = await open(t, "/echo?reloaded");
      await new Reloads(server).next();
      assert.deepEqual(await first.closed, { code: 1012, reason: "the worker retires" });
      await server.until(has("reloaded disconnect 1012 the worker retires"));
      const pid = await (await server.fetch("/pid")).text();
      assert.notEqual(pid, firstPid);

      const second = await open(t, "/echo?lost");
      process.kill(Number(pid), "SIGKILL");
      assert.deepEqual(await second.closed, { code: 1012, reason: "the handler's worker ended" });

      await eventually(t, async () => (await server.fetch("/pid")).status === 200);
      const third = await open(t, "/echo?stopped");
      third.send("hello");
      assert.equal(await third.next(), "hello");
      server.kill("SIGTERM");
      assert.equal((await third.closed).code, 1001);
      await server.until(has("stopped disconnect 1001"));
      assert.equal((await server.exit).code, 0);
    },
  );
});

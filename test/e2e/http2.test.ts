import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { describe, it } from "node:test";
import { startServer } from "../helpers/start-server.ts";
import type { Owner } from "../helpers/temporary-folder.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";
import { FrameClient } from "../helpers/web-socket-frames/frame-client.ts";

const HANDLERS = {
  "index.ts": `export default () => new Response("hello");`,
  "cf.ts": `export default (request) => Response.json(request.cf);`,
  "large.ts": `export default () => new Response("x".repeat(1_000_000));`,
  "echo.ts": `export default async (request) => Response.json({
    body: (await request.text()).length, host: request.headers.get("host"), cookie: request.headers.get("cookie"),
  });`,
  "socket.ts": `import { upgradeWebSocket } from "edgicorn";
    export function GET(request) {
      const { socket, response } = upgradeWebSocket(request);
      socket.subscribe("all");
      return response;
    }
    export function webSocketMessage(socket, message, context) {
      context.publish("all", message);
    }`,
  "waits.ts": `export default async () => {
    console.error("waiting");
    await new Promise((resolve) => setTimeout(resolve, 500));
    return new Response("waited");
  };`,
};

function open(t: Owner, url: string): ClientHttp2Session {
  const session = connect(url, { rejectUnauthorized: false });
  session.on("error", () => {});
  t.after(() => session.destroy());
  return session;
}

async function ask(
  session: ClientHttp2Session,
  fields: Record<string, string | string[]>,
  body?: string,
): Promise<{ status: number; text: string; fields: Record<string, unknown> }> {
  const stream = session.request(fields);
  stream.end(body);
  // The first argument of the event has the fields.
  const [answer] = (await once(stream, "response")) as [Record<string, unknown>];
  const text = (await stream.setEncoding("utf8").toArray()).join("");
  return { status: Number(answer[":status"]), text, fields: answer };
}

describe("HTTP/2", { timeout: 300_000 }, () => {
  it("serves handlers and files beside HTTP/1.1, with and without TLS, and drains", async (t) => {
    const server = await startServer(t, {
      handlers: HANDLERS,
      public: { "file.txt": "text of a file" },
      https: true,
      flags: ["--http2", "on", "--h2c", "on", "--body-limit", "1mb"],
    });
    for (const url of [server.https, server.http]) {
      const session = open(t, url);
      assert.equal((await ask(session, { ":path": "/" })).text, "hello");
      assert.equal((await ask(session, { ":path": "/large" })).text.length, 1_000_000);
      const file = await ask(session, { ":path": "/file.txt" });
      assert.deepEqual([file.status, file.text], [200, "text of a file"]);
      const known = { ":path": "/file.txt", "if-none-match": String(file.fields["etag"]) };
      assert.equal((await ask(session, known)).status, 304);
      const post = { ":method": "POST", ":path": "/echo", cookie: ["a=1", "b=2"] };
      const echoed = JSON.parse((await ask(session, post, "b".repeat(500_000))).text) as unknown;
      assert.deepEqual(echoed, { body: 500_000, host: new URL(url).host, cookie: "a=1; b=2" });
      const tooLarge = { ":method": "POST", ":path": "/echo", "content-length": "2000000" };
      const refused = session.request(tooLarge);
      const [answer] = (await once(refused, "response")) as [Record<string, unknown>];
      assert.equal(answer[":status"], 413);
      refused.resume();
      await once(refused, "close");
      assert.equal((await ask(session, { ":path": "/" })).status, 200, "the connection goes on");
    }
    for (const [url, tls] of [
      [server.https, { tlsVersion: "TLSv1.3", tlsCipher: "AEAD-AES256-GCM-SHA384" }],
      [server.http, {}],
    ] as const) {
      const { text } = await ask(open(t, url), { ":path": "/cf" });
      assert.deepEqual(JSON.parse(text), { httpProtocol: "HTTP/2", ...tls });
    }
    await server.untilAccess({ path: "/", scheme: "https", protocol: "HTTP/2.0", status: 200 });
    assert.equal(await (await server.fetch("/")).text(), "hello");

    await t.test("as curl sees it", (inner) => {
      for (const version of ["--http2", "--http1.1"]) {
        const args = ["-sk", version, "-w", " %{http_version}", `${server.https}/`];
        const { error, stdout } = spawnSync("curl", args, { encoding: "utf8" });
        if (error !== undefined) {
          inner.skip("curl is not installed");
          return;
        }
        assert.equal(stdout, version === "--http2" ? "hello 2" : "hello 1.1");
      }
    });

    // WebSockets of all protocols talk to each other (RFC 8441).
    const session = open(t, server.https);
    const plain = open(t, server.http);
    await Promise.all([session, plain].map((each) => once(each, "remoteSettings")));
    const sockets = [
      (await FrameClient.openOver(t, session, { ":path": "/socket", ":scheme": "https" })).client,
      (await FrameClient.openOver(t, plain, { ":path": "/socket" })).client,
    ];
    const http1 = await WebSocketClient.open(t, `${server.https}/socket`);
    for (const [at, socket] of sockets.entries()) {
      socket.send({ payload: `from ${at}` });
      for (const each of sockets) assert.equal(String((await each.next())?.payload), `from ${at}`);
      assert.equal(await http1.next(), `from ${at}`);
    }

    const waiting = ask(session, { ":path": "/waits" });
    await server.until(({ msg }) => msg?.includes("waiting") === true);
    const goaway = once(session, "goaway");
    server.kill("SIGTERM");
    for (const socket of sockets) {
      assert.equal((await socket.next())?.payload.readUInt16BE(), 1001);
      socket.end();
    }
    assert.equal((await http1.closed).code, 1001);
    await goaway;
    assert.equal((await waiting).text, "waited");
    assert.equal((await server.exit).code, 0);
  });
});

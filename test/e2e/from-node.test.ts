import assert from "node:assert/strict";
import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { WebSocket } from "ws";
import { fieldValue, send } from "../helpers/send.ts";
import { shareServer } from "../helpers/shared-server.ts";
import type { TestServer } from "../helpers/start-server.ts";
import { WebSocketClient } from "../helpers/web-socket-client.ts";

const shared = shareServer({
  handlers: join(import.meta.dirname, "../fixtures/node-style"),
  https: true,
  workers: 1,
});

describe("a Node-style application behind the server", { timeout: 180_000 }, () => {
  it("answers, streams both ways, and is told when the client leaves or its time is up", async () => {
    const server = await shared();

    assert.equal((await send(`${server.http}/who`)).text, "false 127.0.0.1");
    assert.match((await send(`${server.https}/who`)).text, /^true (127\.0\.0\.1|::1)$/);
    const length = await send(`${server.http}/length`);
    assert.deepEqual([fieldValue(length, "content-length"), length.text], ["6", "abcdef"]);
    const head = await send(`${server.http}/length`, { method: "HEAD" });
    assert.deepEqual([fieldValue(head, "content-length"), head.text], ["6", ""]);
    assert.equal((await send(`${server.http}/nowhere`)).text, "nothing here");

    const body = Buffer.alloc(2_000_000, "0123456789");
    const echo = await send(`${server.http}/echo`, { method: "POST", body });
    assert.ok(echo.body.equals(body), "the body came back as it was sent");
    const tooLarge = await send(`${server.http}/echo`, {
      method: "POST",
      body: Buffer.alloc(4_000_000),
    });
    assert.equal(tooLarge.status, 413);

    const leaving = new AbortController();
    const endless = await server.fetch("/endless", { signal: leaving.signal });
    await endless.body?.getReader().read();
    leaving.abort();
    await untilPrinted(server, "closed /endless finished false");

    assert.equal((await send(`${server.http}/silent`)).status, 504);
    await untilPrinted(server, "aborted /silent");
    await assert.rejects(send(`${server.http}/breaks`));
    await server.until(({ msg }) => msg === "response stream failed");

    await untilPrinted(server, "closed /who finished true");
    assert.equal(server.workers.size, 1, "no worker was lost");
  });
});

describe("a Node-style server that accepts WebSockets", { timeout: 180_000 }, () => {
  it("gets them by its listeners for upgrade, and both sides see messages, closes and refusals", async (t) => {
    const server = await shared();
    const open = (path: string, options = {}): Promise<WebSocketClient> =>
      WebSocketClient.open(t, `${server.http}/sockets/${path}`, options);

    await t.test("as it sees those of its own port", async () => {
      const facts = JSON.parse(
        String(await (await open("facts?of=me", { headers: { cookie: "b=2; c=3" } })).next()),
      ) as Record<string, unknown>;
      assert.deepEqual(facts, {
        remoteAddress: "127.0.0.1",
        host: new URL(server.http).host,
        cookie: "b=2; c=3",
      });
      const secure = await WebSocketClient.open(t, `${server.https}/sockets/facts?of=me`);
      const { encrypted } = JSON.parse(String(await secure.next())) as Record<string, unknown>;
      assert.equal(encrypted, true);
      assert.deepEqual(await secure.closed, { code: 4001, reason: "told" });
      assert.equal((await send(`${server.http}/sockets/page`)).text, "plain /sockets/page");
    });

    await t.test("with text, bytes, a subprotocol and fields of the answer", async () => {
      const socket = new WebSocket(`${server.http.replace("http", "ws")}/sockets/echo`, [
        "one",
        "two",
      ]);
      t.after(() => socket.terminate());
      const [answer] = (await once(socket, "upgrade")) as [IncomingMessage];
      assert.deepEqual(
        [
          answer.headers["x-server"],
          answer.headers["set-cookie"],
          answer.headers["sec-websocket-protocol"],
        ],
        ["node", ["a=1"], "one"],
      );
      const client = await open("echo");
      const large = Buffer.alloc(3_000_000, "0123456789");
      for (const message of [
        "",
        "zoë ✓",
        Buffer.from([0, 255, 10]),
        Buffer.alloc(0),
        large,
        large,
      ]) {
        client.send(message);
        assert.deepEqual(await client.next(), message);
      }
      client.socket.close(4002, "bye");
      await untilPrinted(server, "closed /sockets/echo 4002 bye");
      assert.equal((await client.closed).code, 4002);
    });

    await t.test("in order, also if the end follows at once", async () => {
      const client = await open("burst");
      const messages = await client.take(2_000);
      assert.deepEqual(
        messages,
        Array.from({ length: 2_000 }, (_, count) => String(count)),
      );
      assert.deepEqual(await client.closed, { code: 1000, reason: "" });
    });

    await t.test("with ends that either side begins without a close frame", async () => {
      assert.equal((await (await open("terminates")).closed).code, 1011);
      const client = await open("echo?cut");
      client.socket.terminate();
      await untilPrinted(server, "closed /sockets/echo?cut 1006 ");
    });

    await t.test("with 1013 for a client whose messages it does not read", async () => {
      const client = await open("deaf");
      assert.equal(await client.next(), "deaf");
      for (let count = 0; count < 40; count++) client.send(Buffer.alloc(100_000));
      assert.equal((await client.closed).code, 1013);
    });

    await t.test("and answers others as it does itself", async () => {
      const refused = await sendUpgrade(`${server.http}/sockets/refused`);
      assert.deepEqual(
        [refused.statusCode, refused.headers["www-authenticate"], await text(refused)],
        [401, "Basic", "no entry\r\n"],
      );
      assert.equal((await sendUpgrade(`${server.http}/sockets/cut`)).statusCode, 500);
      assert.equal((await sendUpgrade(`${server.http}/sockets/garbage`)).statusCode, 500);
      assert.equal((await sendUpgrade(`${server.http}/sockets/status-700`)).statusCode, 500);
      const badFrame = await open("bad-frame");
      assert.equal((await badFrame.closed).code, 1011);
      await server.until(({ msg }) => msg === "WebSocket of the application failed");
    });

    assert.equal(server.workers.size, 1, "no worker was lost");
  });
});

/** Asks for a WebSocket, and returns the refusal. */
async function sendUpgrade(url: string): Promise<IncomingMessage> {
  const socket = new WebSocket(url.replace("http", "ws"));
  const [, message] = (await once(socket, "unexpected-response")) as [unknown, IncomingMessage];
  return message;
}

/** Waits for a line that the handler prints to standard error. */
async function untilPrinted(server: TestServer, line: string): Promise<void> {
  await server.until(({ msg }) => msg === line);
}

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { EventEmitter, once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { describe, it } from "node:test";
import type { Client } from "../../../runtime/http/client.ts";
import type {
  WebSocketEnd,
  WebSocketEvents,
  WebSocketSide,
} from "../../../runtime/http/web-socket.ts";
import { FrameClient, HANDSHAKE } from "../../helpers/web-socket-frames/frame-client.ts";
import { closePayload, frame, OPCODES } from "../../helpers/web-socket-frames/frames.ts";
import type { Owner } from "../../helpers/temporary-folder.ts";
import { openListener, type OpenListener } from "./open-listener.ts";

const TIMEOUT = { timeout: 120_000 };

interface Accepted extends OpenListener {
  /** Waits for the next WebSocket. */
  next: () => Promise<{ side: WebSocketSide; ended: Promise<WebSocketEnd> }>;
}

/** Accepts all WebSockets, and echoes their messages. */
async function openEcho(t: Owner, { protocol = null as string | null } = {}): Promise<Accepted> {
  const accepted: Awaited<ReturnType<Accepted["next"]>>[] = [];
  const waiting: ((socket: (typeof accepted)[0]) => void)[] = [];
  const onRequest = (client: Client): void => {
    const offer = client.webSocket ?? null;
    if (offer === null || !offer.isCurrent) {
      client.reply({ status: 426, statusText: "", fields: "", body: "no", lengthBytes: null });
      return;
    }
    const ended = new EventEmitter();
    const end = once(ended, "end") as Promise<[WebSocketEnd]>;
    const events: WebSocketEvents = {
      onMessage: (bytes, isBinary) => void side?.send(Uint8Array.from(bytes), isBinary),
      onPing() {},
      onPong() {},
      onRoom() {},
      onClose: (how) => ended.emit("end", how),
    };
    const side = offer.accept({ protocol, fields: "x-own\nyes" }, events);
    if (side === null) return;
    const reader = waiting.shift();
    const socket = { side, ended: end.then(([how]) => how) };
    if (reader === undefined) accepted.push(socket);
    else reader(socket);
  };
  const open = await openListener(t, { onRequest });
  const next: Accepted["next"] = () => {
    const first = accepted.shift();
    return first === undefined
      ? new Promise((resolve) => waiting.push(resolve))
      : Promise.resolve(first);
  };
  return { ...open, next };
}

async function openSession(t: Owner, port: number): Promise<ClientHttp2Session> {
  const session = connect(`http://127.0.0.1:${port}`);
  t.after(() => session.destroy());
  // Extended CONNECT is allowed once the server has said so (RFC 8441 section 3).
  await once(session, "remoteSettings");
  return session;
}

/** Reads a message of any number of fragments. */
async function readMessage(client: FrameClient): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    const next = await client.next();
    assert.ok(next !== null && next.opcode < OPCODES.close && !next.isMasked);
    parts.push(next.payload);
    if (next.fin) return Buffer.concat(parts);
  }
}

describe("a WebSocket on the Node engine", () => {
  it("takes frames that come with the request", TIMEOUT, async (t) => {
    const { port, untilFinished, finished, next } = await openEcho(t, { protocol: "v1" });
    const head = Buffer.from(`${HANDSHAKE.join("\r\n")}\r\n\r\n`);
    const early = Buffer.concat([head, frame({ payload: "early" }), frame({ payload: "late" })]);
    const client = FrameClient.connect(t, port, []);
    client.write(early.subarray(0, early.length - 3));
    const { status, fields } = await client.head();
    assert.equal(status, 101);
    assert.equal(fields.get("sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert.deepEqual(
      ["upgrade", "connection", "sec-websocket-protocol", "x-own"].map((name) => fields.get(name)),
      ["websocket", "Upgrade", "v1", "yes"],
    );
    assert.equal(String(await readMessage(client)), "early");
    client.write(early.subarray(early.length - 3));
    assert.equal(String(await readMessage(client)), "late");
    client.send({ opcode: OPCODES.close, payload: closePayload(3001, "bye") });
    assert.deepEqual((await client.next())?.payload, closePayload(3001, "bye"));
    assert.equal(await client.next(), null);
    assert.deepEqual(await (await next()).ended, { code: 3001, reason: "bye" });
    await untilFinished(1);
    assert.deepEqual([finished[0]?.status, finished[0]?.bodyBytes], [101, 9]);
  });

  it("is an ordinary request in HTTP/1.0, and with a body", TIMEOUT, async (t) => {
    const { port } = await openEcho(t);
    for (const [from, to] of [
      ["HTTP/1.1", "HTTP/1.0"],
      ["Host: localhost", "Host: localhost\r\nContent-Length: 1"],
      ["Connection: Upgrade", "Connection: close, Upgrade"],
    ] as const) {
      const lines = HANDSHAKE.map((line) => line.replace(from, to));
      assert.equal((await FrameClient.connect(t, port, lines).head()).status, 426, to);
    }
  });

  it("runs in streams of HTTP/2 beside requests", TIMEOUT, async (t) => {
    const { port, next, untilFinished, finished } = await openEcho(t, { protocol: "v1" });
    const session = await openSession(t, port);
    assert.equal(session.remoteSettings.enableConnectProtocol, true);
    const { client, head } = await FrameClient.openOver(t, session, {
      "sec-websocket-protocol": "v1",
    });
    assert.deepEqual(
      [":status", "sec-websocket-protocol", "x-own", "sec-websocket-accept"].map(
        (name) => head[name],
      ),
      [200, "v1", "yes", undefined],
    );
    const { ended, side } = await next();
    const { client: other } = await FrameClient.openOver(t, session);
    for (const size of [0, 125, 126, 65_536, 1024 * 1024]) {
      const bytes = randomBytes(size);
      client.send({ opcode: OPCODES.binary, payload: bytes });
      assert.ok(bytes.equals(await readMessage(client)), `${size} bytes`);
    }
    const plain = session.request({ ":path": "/", ":authority": "localhost" });
    const [answer] = (await once(plain, "response")) as [{ ":status": number }];
    assert.equal(answer[":status"], 426);
    side.close(1012, "restart");
    assert.deepEqual((await client.next())?.payload, closePayload(1012, "restart"));
    client.send({ opcode: OPCODES.close, payload: closePayload(1012) });
    client.end();
    assert.equal(await client.next(), null);
    assert.equal((await ended).code, 1012);
    // The other one goes on, until its connection is lost.
    other.send({ payload: "still here" });
    assert.equal(String(await readMessage(other)), "still here");
    const second = await next();
    session.destroy();
    assert.equal((await second.ended).code, 1006);
    await untilFinished(3);
    const statuses = finished.map(({ status }) => status);
    assert.deepEqual(
      statuses.toSorted((a, b) => a - b),
      [101, 101, 426],
    );
  });

  it("refuses another version in HTTP/2, and leaves the connection", TIMEOUT, async (t) => {
    const { port } = await openEcho(t);
    const session = await openSession(t, port);
    for (const version of ["8", "13"]) {
      const { head } = await FrameClient.openOver(t, session, { "sec-websocket-version": version });
      assert.equal(head[":status"], version === "13" ? 200 : 426);
    }
  });

  it("holds messages back for a client that does not read", TIMEOUT, async (t) => {
    const { port, next } = await openEcho(t);
    for (const open of [
      () => FrameClient.open(t, port),
      async () => (await FrameClient.openOver(t, await openSession(t, port))).client,
    ]) {
      const client = await open();
      const { side } = await next();
      client.pause();
      const bytes = randomBytes(1024 * 1024);
      let sent = 0;
      while (side.bufferedBytes < 4 * bytes.length) {
        side.send(bytes, true);
        sent++;
        // Streams of HTTP/2 write in a later turn.
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.equal(side.send(Buffer.from("end"), false), "buffered");
      client.resume();
      for (let at = 0; at < sent; at++) assert.ok(bytes.equals(await readMessage(client)));
      assert.equal(String(await readMessage(client)), "end");
      side.destroy();
    }
  });

  it("answers pings, or the latest of very many", TIMEOUT, async (t) => {
    const { port } = await openEcho(t);
    const client = await FrameClient.open(t, port);
    const pings = Array.from({ length: 20_000 }, (_, at) =>
      frame({ opcode: OPCODES.ping, payload: String(at) }),
    );
    client.write(Buffer.concat(pings));
    for (let last = -1; last < pings.length - 1;) {
      const pong = await client.next();
      assert.equal(pong?.opcode, OPCODES.pong);
      assert.ok(Number(pong.payload) > last);
      last = Number(pong.payload);
    }
  });

  it("tells a client why it ends, and takes nothing after that", TIMEOUT, async (t) => {
    const { port, next } = await openEcho(t);
    const client = await FrameClient.open(t, port);
    const bad = frame({ opcode: OPCODES.text, payload: new Uint8Array([0xff]) });
    client.write(Buffer.concat([bad, frame({ payload: "after" })]));
    assert.deepEqual((await client.next())?.payload, closePayload(1007));
    assert.equal(await client.next(), null);
    assert.equal((await (await next()).ended).code, 1007);
  });

  it("sends a close frame to all when the listener closes", TIMEOUT, async (t) => {
    const { port, listener, next } = await openEcho(t);
    const client = await FrameClient.open(t, port);
    const { client: other } = await FrameClient.openOver(t, await openSession(t, port));
    const sockets = [await next(), await next()];
    assert.equal(listener.close({ graceIsOver: true }), 2);
    for (const { ended } of sockets) assert.equal((await ended).code, 1001);
    assert.equal((await client.next())?.payload.readUInt16BE(), 1001);
    assert.equal((await other.next())?.payload.readUInt16BE(), 1001);
  });
});

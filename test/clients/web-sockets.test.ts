import assert from "node:assert/strict";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { type WebSocket, WebSocketServer } from "ws";
import { runClient } from "../../scripts/clients/client-process.ts";
import { FrameCounter, toTextFrame } from "../../scripts/clients/frame-counter.ts";

/** Returns a frame of a server. */
function frame(opcode: number, bytes: Buffer): Buffer {
  const { length } = bytes;
  const head = length < 126 ? [length] : [126, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head]), bytes]);
}

describe("FrameCounter", () => {
  const wire = Buffer.concat([
    frame(1, Buffer.from("hello")),
    frame(9, Buffer.from("ping")),
    frame(1, Buffer.alloc(0)),
    frame(1, Buffer.alloc(300, "x")),
    frame(8, Buffer.alloc(2)),
  ]);

  it("counts text messages wherever the bytes are split", () => {
    for (let at = 0; at <= wire.length; at++) {
      const frames = new FrameCounter();
      const count = frames.count(wire.subarray(0, at)) + frames.count(wire.subarray(at));
      assert.equal(count, 3, `split at ${at}`);
      assert.equal(frames.hasClosed, true);
    }
  });

  it("refuses frames that it does not know", () => {
    for (const [bytes, message] of [
      [toTextFrame("masked"), /not a whole, short, bare frame/],
      [Buffer.from([0x01, 0x01, 0x61]), /not a whole, short, bare frame/],
      [frame(2, Buffer.from("binary")), /not a text message/],
    ] as const) {
      assert.throws(() => new FrameCounter().count(bytes), message);
    }
  });
});

describe("loadWebSockets()", { timeout: 180_000 }, () => {
  const task = { warmUpSeconds: 0, seconds: 0.5, clients: 3 } as const;

  it("has one message of each client on its way", async (t) => {
    const { url, messages } = await serve(t, ({ socket, text }) => socket.send(text));
    const report = await runClient("web-sockets", { ...task, url, mode: "echo" }, {});
    const sent = messages.reduce((sum, count) => sum + count, 0);
    assert.equal(messages.length, 3);
    assert.ok(report.count > 0 && sent - report.count <= 3 + 3, `${report.count} of ${sent}`);
    assert.ok(report.rate > 0 && (report.p99Us ?? NaN) >= (report.p50Us ?? NaN));
    assert.equal(report.socketErrors, 0);
  });

  it("counts a broadcast once for each client, and lets all clients send", async (t) => {
    const { url, messages } = await serve(t, ({ server, text }) => {
      for (const client of server.clients) client.send(text);
    });
    const report = await runClient("web-sockets", { ...task, url, mode: "broadcast" }, {});
    const sent = messages.reduce((sum, count) => sum + count, 0);
    assert.ok(report.count > 3 * (sent - 2) && report.count <= 3 * sent);
    assert.ok(Math.max(...messages) - Math.min(...messages) <= 1, messages.join(" "));
  });

  it("counts connections that end", async (t) => {
    const { url } = await serve(t, ({ server }) => {
      for (const client of server.clients) client.terminate();
    });
    // Long enough for a busy machine to send the messages and to end the connections.
    const longer = { ...task, seconds: 3 };
    const report = await runClient("web-sockets", { ...longer, url, mode: "echo" }, {});
    assert.equal(report.socketErrors, 3);
  });
});

interface Arrival {
  server: WebSocketServer;
  socket: WebSocket;
  text: string;
}

/** Opens a server of WebSockets. Counts the messages of each client. */
async function serve(
  t: TestContext,
  onMessage: (arrival: Arrival) => void,
): Promise<{ url: string; messages: number[] }> {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  await once(server, "listening");
  t.after(() => {
    for (const client of server.clients) client.terminate();
    server.close();
  });
  const messages: number[] = [];
  server.on("connection", (socket) => {
    const at = messages.push(0) - 1;
    socket.on("message", (bytes: Buffer) => {
      messages[at] = (messages[at] ?? 0) + 1;
      onMessage({ server, socket, text: String(bytes) });
    });
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, messages };
}

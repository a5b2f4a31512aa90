import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, it } from "node:test";
import { FirstBytes } from "../../../runtime/engine/node/first-bytes.ts";
import { Http1Connection } from "../../../runtime/engine/node/http1-connection.ts";
import { LAST_REQUEST_MS } from "../../../runtime/engine/node/last-request.ts";
import { MemorySocket } from "./http1-fuzz/memory-socket.ts";
import { echo, openListener } from "./open-listener.ts";

const GET = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";

describe("a connection of a listener that closes", () => {
  it("has its last request answered, and ends with the answer", async (t) => {
    const { listener, untilFinished } = await openListener(t, { onRequest: echo });
    const socket = new MemorySocket();
    t.after(() => socket.destroy());
    const connection = connect(socket, listener);
    socket.push(GET);
    await untilFinished(1);
    assert.match(socket.received, /^HTTP\/1\.1 200 (?:.*\r\n)+Keep-Alive: /);
    // Before the listener begins to close, and so before the end of the time that follows.
    const earlierMs = performance.now();
    listener.stopAccepting();
    connection.check(earlierMs + LAST_REQUEST_MS - 1_000);
    assert.equal(socket.writableEnded, false);
    socket.push(GET);
    await untilFinished(2);
    assert.match(socket.received, /Connection: close\r\n/);
    assert.equal(socket.writableEnded, true);
  });

  it("ends if it stays idle", async (t) => {
    const { listener } = await openListener(t, { onRequest: echo });
    const socket = new MemorySocket();
    t.after(() => socket.destroy());
    const connection = connect(socket, listener);
    listener.stopAccepting();
    connection.check(performance.now() + LAST_REQUEST_MS + 1_000);
    assert.equal(socket.writableEnded, true);
  });

  it("still waits for its first bytes", (t) => {
    const socket = new MemorySocket();
    t.after(() => socket.destroy());
    const earlierMs = performance.now();
    const options = { timeoutMs: 60_000, onProtocol() {}, onClosed() {} };
    // It has the members of a socket that are used.
    const waiting = new FirstBytes(socket as unknown as Socket, options);
    waiting.drain();
    waiting.check(earlierMs + LAST_REQUEST_MS - 1_000);
    assert.equal(socket.destroyed, false);
    waiting.check(performance.now() + LAST_REQUEST_MS + 1_000);
    assert.equal(socket.destroyed, true);
  });
});

function connect(
  socket: MemorySocket,
  context: ConstructorParameters<typeof Http1Connection>[1]["context"],
): Http1Connection {
  // It has the members of a socket that a connection uses.
  const used = socket as unknown as Socket;
  return new Http1Connection(used, { context, certificate: null, peer: "127.0.0.1", tls: 0 });
}

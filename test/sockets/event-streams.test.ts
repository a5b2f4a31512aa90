import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Act, type ExchangeId, Kind, type TopicsMessage } from "../../runtime/channel/messages.ts";
import type { EventStream } from "../../runtime/sockets/event-stream.ts";
import { toEvent } from "../../runtime/lib/server-sent-event.ts";
import { FakeClient, FakeServer } from "./fake-workers.ts";

const SITE = { site: "", mostBytes: 1_000 };

function openStream(server: FakeServer, topics: string[], opening = ""): EventStream {
  const message: TopicsMessage = [
    Kind.responseTopics,
    1 as ExchangeId,
    200,
    "",
    "",
    topics,
    opening,
  ];
  return server.sockets.streams.open(new FakeClient(1).client, SITE, message);
}

function publish(server: FakeServer, topic: string, bytes: Uint8Array, isBinary = false): void {
  const [worker = server.startWorker()] = server.workers;
  server.sockets.take(worker.home, "", [[Act.announce, 0, topic, bytes, isBinary]]);
}

function readAll(stream: EventStream, maxBytes = 7): string {
  let text = "";
  for (let next = stream.read(maxBytes); next !== null; next = stream.read(maxBytes)) {
    text += Buffer.from(next).toString("latin1");
  }
  return text;
}

describe("EventStreams", () => {
  it("send the opening, and then the messages of their topics in their order", () => {
    const server = new FakeServer();
    const stream = openStream(server, ["a", "b"], "retry: 1\n\n");
    const changes: string[] = [];
    stream.onChange = () => changes.push(stream.state);
    publish(server, "a", Buffer.from("one\r\ntwo"));
    publish(server, "c", Buffer.from("not for this one"));
    publish(server, "b", Buffer.from("three"));
    publish(server, "a", Buffer.of(1), true);
    assert.equal(readAll(stream), "retry: 1\n\ndata: one\ndata: two\n\ndata: three\n\n");
    assert.deepEqual(changes, ["open", "open"]);
  });

  it("fail when more bytes wait for a client than may", () => {
    const server = new FakeServer();
    const stream = openStream(server, ["a"]);
    // A client that has taken all gets a message of any size.
    publish(server, "a", Buffer.from("x".repeat(5_000)));
    assert.equal(readAll(stream).length, 5_008);
    publish(server, "a", Buffer.from("y".repeat(5_000)));
    assert.equal(stream.state, "open");
    publish(server, "a", Buffer.from("."));
    assert.deepEqual([stream.state, server.limits], ["failed", ["webSocketBuffer"]]);
    assert.equal(stream.read(10), null);
    assert.equal(server.sockets.streams.size, 0);
  });

  it("count waiting bytes down as the client reads", () => {
    const server = new FakeServer();
    const stream = openStream(server, ["a"]);
    for (let number = 0; number < 200; number++) {
      publish(server, "a", Buffer.from("x".repeat(100)));
      assert.equal(readAll(stream), toEvent("x".repeat(100)));
    }
    assert.equal(stream.state, "open");
  });

  it("end after the bytes that wait when the server stops, also those opened later", () => {
    const server = new FakeServer();
    const stream = openStream(server, ["a"]);
    publish(server, "a", Buffer.from("last"));
    server.sockets.streams.close(0);
    publish(server, "a", Buffer.from("too late"));
    assert.equal(stream.state, "open");
    assert.equal(readAll(stream), "data: last\n\n");
    assert.equal(stream.state, "ended");
    const late = openStream(server, ["a"], "data: hello\n\n");
    assert.deepEqual([readAll(late), late.state], ["data: hello\n\n", "ended"]);
    assert.equal(server.sockets.streams.size, 0);
  });

  it("are forgotten when their clients leave, and get comments while they are silent", (t) => {
    t.mock.timers.enable({ apis: ["setInterval"] });
    const server = new FakeServer();
    const [idle, busy] = [openStream(server, ["a"]), openStream(server, ["b"])];
    publish(server, "b", Buffer.from("waits"));
    t.mock.timers.tick(15_000);
    assert.deepEqual([readAll(idle), readAll(busy)], [":\n\n", "data: waits\n\n"]);
    idle.cancel();
    idle.cancel();
    assert.equal(server.sockets.streams.size, 1);
    busy.cancel();
    publish(server, "a", Buffer.from("for no client"));
    t.mock.timers.tick(15_000);
    assert.deepEqual([readAll(idle), idle.state], ["", "failed"]);
  });
});

import assert from "node:assert/strict";
import { Socket } from "node:net";
import { describe, it } from "node:test";
import { Channel } from "../../runtime/channel/channel.ts";
import type { ToPrimary, ToWorker, WorkerId } from "../../runtime/channel/messages.ts";
import { parseToPrimary } from "../../runtime/channel/parse.ts";
import { Exchange } from "../../runtime/dispatch/exchange.ts";
import { Lane } from "../../runtime/dispatch/lane.ts";
import { Lanes } from "../../runtime/dispatch/lanes.ts";
import { WaitingLine } from "../../runtime/dispatch/waiting-line.ts";
import { FakeClient } from "./fake-client.ts";

let ids = 0;

function exchangeOf(options: { clientAddress?: string; connection?: object } = {}): Exchange {
  return new Exchange(new FakeClient(++ids, options), {
    route: 0,
    params: null,
    url: "http://localhost/",
    timeoutMs: 0,
    timeoutSetting: "requestTimeout",
    buffering: { bodyBufferBytes: 1, bodyOverflow: "stream", responseOverflow: "wait" },
    reserved: false,
    intake: null,
  });
}

/** One worker that answers one exchange in each millisecond. */
function busyLanes(): Lanes {
  const lanes = new Lanes();
  const channel = new Channel<ToPrimary, ToWorker>(new Socket(), {
    maxFrameBytes: 1024,
    parse: parseToPrimary,
    onMessage: () => {},
    onClose: () => {},
  });
  const lane = new Lane(1 as WorkerId, channel, { most: 100, threads: null });
  for (let count = 0; count < 10; count++) lane.inFlight.add(exchangeOf());
  lanes.attach(lane);
  lanes.latencyMs = 10;
  return lanes;
}

describe("WaitingLine", () => {
  it("puts one request of another connection behind one request of a burst", () => {
    const line = new WaitingLine({ queueLimit: 100, queueDelayMs: 0 });
    const connection = {};
    const burst = Array.from({ length: 50 }, () => exchangeOf({ connection }));
    for (const each of burst) assert.equal(line.push(each, new Lanes(), 0), null);
    const other = exchangeOf();
    assert.equal(line.push(other, new Lanes(), 1), null);
    assert.equal(line.oldest, burst[0]);
    assert.deepEqual([line.shift(2), line.shift(2), line.shift(2)], [burst[0], other, burst[1]]);
    assert.equal(line.oldest, burst[2]);
  });

  it("counts all addresses of one IPv6 network as one client", () => {
    const line = new WaitingLine({ queueLimit: 100, queueDelayMs: 0 });
    const flood = Array.from({ length: 9 }, (_, n) =>
      exchangeOf({ clientAddress: `2001:db8::${n + 1}` }),
    );
    const other = exchangeOf({ clientAddress: "2001:db8:0:1::1" });
    for (const each of [...flood, other]) line.push(each, new Lanes(), 0);
    assert.deepEqual([line.shift(0), line.shift(0)], [flood[0], other]);
  });

  it("refuses a client whose own requests wait for too long, and queues another client", () => {
    const line = new WaitingLine({ queueLimit: 1_000, queueDelayMs: 100 });
    const lanes = busyLanes();
    const connection = {};
    const refusals = Array.from({ length: 150 }, () =>
      line.push(exchangeOf({ connection }), lanes, 0),
    );
    assert.equal(refusals.filter((breach) => breach === null).length, 101);
    assert.equal(refusals.at(-1), "queueDelay");
    assert.equal(line.push(exchangeOf(), lanes, 0), null);
    assert.equal(line.push(exchangeOf({ clientAddress: "192.0.2.1" }), lanes, 0), null);
  });

  it("refuses every client while no exchange gets a turn", () => {
    const line = new WaitingLine({ queueLimit: 1_000, queueDelayMs: 100 });
    const lanes = busyLanes();
    line.push(exchangeOf(), lanes, 0);
    assert.equal(line.push(exchangeOf({ clientAddress: "192.0.2.1" }), lanes, 100), null);
    assert.equal(line.push(exchangeOf({ clientAddress: "192.0.2.2" }), lanes, 101), "queueDelay");
  });

  it("ends exchanges in the order in which they came", () => {
    const line = new WaitingLine({ queueLimit: 100, queueDelayMs: 0 });
    const connection = {};
    const all = Array.from({ length: 6 }, (_, at) => exchangeOf(at < 4 ? { connection } : {}));
    for (const [nowMs, each] of all.entries()) line.push(each, new Lanes(), nowMs);
    const ended: Exchange[] = [];
    line.drain(5, (exchange) => {
      ended.push(exchange);
      line.remove(exchange);
    });
    assert.deepEqual(ended, all.slice(0, 5));
    assert.equal(line.size, 1);
    assert.equal(line.sinceMs, 5);
  });
});

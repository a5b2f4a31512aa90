import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { ExchangeId } from "../../runtime/http/client.ts";
import { LARGEST_MESSAGE_BYTES, type WebSocketEnd } from "../../runtime/http/web-socket.ts";
import { ClientWebSocket, type EngineSocket } from "../../runtime/engine/client-web-socket.ts";
import { toEnd } from "../../runtime/engine/uws/library-end.ts";

const EMPTY = new Uint8Array(0);

/** The library's socket: it throws once it is closed, and closes within `end` and `close`. */
class ClosableSocket implements EngineSocket {
  readonly calls: string[] = [];
  heldBytes = 0;
  isFull = false;
  isClosed = false;
  onClosed: (code: number, text: string) => void = () => {};

  send(bytes: Uint8Array): number {
    return this.#call(`send ${bytes.length}`);
  }

  sendFirstFragment(bytes: Uint8Array): number {
    return this.#call(`first ${bytes.length}`);
  }

  sendFragment(bytes: Uint8Array): number {
    return this.#call(`next ${bytes.length}`);
  }

  sendLastFragment(bytes: Uint8Array): number {
    return this.#call(`last ${bytes.length}`);
  }

  ping(bytes: Uint8Array): number {
    return this.#call(`ping ${String(bytes)}`);
  }

  getBufferedAmount(): number {
    assert.equal(this.isClosed, false);
    return this.heldBytes;
  }

  cork(callback: () => void): void {
    assert.equal(this.isClosed, false);
    callback();
  }

  end(code: number, reason: string): void {
    this.#call(`end ${code} ${reason}`);
    this.isClosed = true;
    this.onClosed(code, reason);
  }

  close(): void {
    this.#call("close");
    this.isClosed = true;
    this.onClosed(1006, "");
  }

  #call(text: string): number {
    assert.equal(this.isClosed, false, text);
    this.calls.push(text);
    if (!this.isFull) return 1;
    this.heldBytes = 1;
    return 0;
  }
}

class Bench {
  readonly socket = new ClosableSocket();
  readonly ends: WebSocketEnd[] = [];
  readonly errors: unknown[] = [];
  readonly events: string[] = [];
  slow = 0;
  finished = 0;
  nowMs = 0;
  onMessage: () => void = () => {};
  readonly side: ClientWebSocket;

  constructor({ sendTimeoutMs = 60_000 } = {}) {
    this.side = new ClientWebSocket({
      // Ids are made in tests only here.
      request: { id: 1 as ExchangeId, limitedBy: null },
      now: () => this.nowMs,
      sendTimeoutMs,
      silence: undefined,
      compresses: false,
      onSlow: () => void this.slow++,
      onEnd: () => void this.finished++,
      onError: (error) => void this.errors.push(error),
      events: {
        onMessage: (bytes, isBinary) => {
          this.events.push(`message ${bytes.length} ${isBinary}`);
          this.onMessage();
        },
        onPing: (bytes) => void this.events.push(`ping ${bytes.length}`),
        onPong: (bytes) => void this.events.push(`pong ${bytes.length}`),
        onRoom: () => void this.events.push("room"),
        onClose: (end) => void this.ends.push(end),
      },
    });
    this.socket.onClosed = (code, reason) => this.side.onClosed({ code, reason });
    this.side.opened(this.socket);
  }

  /** Lets time pass, and looks every second. */
  pass(ms: number): void {
    for (const endMs = this.nowMs + ms; this.nowMs < endMs;) {
      this.nowMs += 1_000;
      this.side.check(this.nowMs, { keepAlive: this.nowMs % 4_000 === 0 });
    }
  }

  async drain(): Promise<void> {
    this.socket.isFull = false;
    this.socket.heldBytes = 0;
    this.side.onDrain();
    await nextTurn();
  }
}

describe("ClientWebSocket", () => {
  it("pings a silent client, and cuts one that answers no ping", () => {
    const bench = new Bench();
    bench.pass(25_000);
    assert.deepEqual(bench.socket.calls, ["ping edgicorn"]);
    bench.side.onPong(Buffer.from("edgicorn"));
    bench.pass(297_000);
    assert.deepEqual(bench.socket.calls, ["ping edgicorn", "ping edgicorn", "ping edgicorn"]);
    assert.deepEqual(bench.ends, []);
    bench.pass(1_000);
    assert.deepEqual(bench.ends, [{ code: 1006, reason: "" }]);
    assert.equal(bench.finished, 1);
    assert.deepEqual(bench.events, [], "answers to its own pings stay");
  });

  it("sends no ping to a client that is heard", () => {
    const bench = new Bench();
    for (const hear of [
      () => bench.side.onMessage(EMPTY, true),
      () => bench.side.onPing(EMPTY),
      () => bench.side.onPong(EMPTY),
    ]) {
      bench.pass(24_000);
      hear();
    }
    bench.pass(24_000);
    assert.deepEqual(bench.socket.calls, []);
    assert.deepEqual(bench.events, ["message 0 true", "ping 0", "pong 0"]);
  });

  it("cuts a client that takes nothing, not one that takes little", async () => {
    const bench = new Bench();
    bench.socket.isFull = true;
    assert.equal(bench.side.send(new Uint8Array(3), true), "buffered");
    bench.side.onPong(EMPTY);
    bench.pass(50_000);
    assert.equal(bench.slow, 0);
    await bench.drain();
    bench.side.onPong(EMPTY);
    bench.socket.isFull = true;
    bench.side.send(new Uint8Array(3), true);
    bench.pass(20_000);
    bench.side.onPong(EMPTY);
    bench.pass(41_000);
    assert.equal(bench.slow, 1);
    assert.equal(bench.socket.calls.at(-1), "close");
  });

  it("cuts no slow client without `sendTimeout`", () => {
    const bench = new Bench({ sendTimeoutMs: 0 });
    bench.socket.isFull = true;
    bench.side.send(new Uint8Array(3), true);
    for (let at = 0; at < 100; at++) {
      bench.pass(10_000);
      bench.side.onPong(EMPTY);
    }
    assert.deepEqual(bench.ends, []);
  });

  it("cuts a client that does not take the answers to its pings", () => {
    const bench = new Bench();
    const pingFor = (seconds: number, heldBytes: () => number): void => {
      for (let at = 0; at < seconds; at += 10) {
        bench.socket.heldBytes = heldBytes();
        bench.side.onPing(EMPTY);
        bench.pass(10_000);
      }
    };
    let held = 1_000;
    pingFor(300, () => held--);
    pingFor(60, () => held);
    assert.deepEqual([bench.slow, bench.ends], [0, []]);
    pingFor(10, () => held);
    assert.equal(bench.slow, 1);
    assert.equal(bench.socket.calls.at(-1), "close");
  });

  it("gives a client time for the answers to its pings behind a slow message", async () => {
    const bench = new Bench();
    bench.socket.heldBytes = 10;
    bench.pass(50_000);
    bench.side.onPong(EMPTY);
    bench.socket.isFull = true;
    bench.side.send(new Uint8Array(3), true);
    bench.pass(20_000);
    await bench.drain();
    bench.side.onPong(EMPTY);
    bench.socket.heldBytes = 20;
    bench.pass(40_000);
    assert.deepEqual([bench.slow, bench.ends], [0, []]);
  });

  for (const state of ["open", "closing"]) {
    it(`cuts a client that floods the server with pings, while ${state}`, () => {
      const bench = new Bench();
      if (state === "closing") {
        bench.socket.isFull = true;
        bench.side.send(new Uint8Array(3), true);
        bench.side.close(1000, "");
      }
      bench.socket.heldBytes = 1024 * 1024;
      bench.side.onPing(EMPTY);
      assert.deepEqual(bench.ends, []);
      bench.socket.heldBytes++;
      bench.side.onPing(EMPTY);
      assert.equal(bench.ends.length, 1);
      assert.equal(bench.socket.calls.at(-1), "close");
    });
  }

  it("lets one ping wait, and sends the latest of the others", async () => {
    const bench = new Bench();
    bench.side.ping(new Uint8Array([1]));
    bench.side.ping(new Uint8Array([2]));
    bench.socket.isFull = true;
    for (const name of [3, 4, 5]) bench.side.ping(new Uint8Array([name]));
    bench.pass(2_000);
    assert.deepEqual(bench.socket.calls, ["ping 1", "ping 2", "ping 3"]);
    await bench.drain();
    bench.pass(2_000);
    assert.deepEqual(bench.socket.calls, ["ping 1", "ping 2", "ping 3", "ping 5"]);
  });

  it("passes pings between the pieces of a message", async () => {
    const bench = new Bench();
    bench.socket.isFull = true;
    bench.side.send(new Uint8Array(40_000), true);
    for (const name of [1, 2, 3]) {
      bench.side.ping(new Uint8Array([name]));
      await bench.drain();
      bench.socket.isFull = true;
    }
    const pings = bench.socket.calls.filter((call) => call.startsWith("ping"));
    assert.deepEqual(pings, ["ping 1", "ping 2", "ping 3"]);
  });

  it("tells of room once the messages have left", async () => {
    const bench = new Bench();
    bench.socket.isFull = true;
    assert.equal(bench.side.send(new Uint8Array(3), true), "buffered");
    assert.equal(bench.side.send(new Uint8Array(4), false), "buffered");
    bench.side.onDrain();
    await nextTurn();
    assert.deepEqual(bench.socket.calls, ["send 3"]);
    await bench.drain();
    assert.deepEqual(bench.socket.calls, ["send 3", "send 4"]);
    assert.deepEqual(bench.events, ["room"]);
    assert.equal(bench.side.send(new Uint8Array(5), true), "took");
  });

  it("sends its close frame behind the messages that wait", async () => {
    const bench = new Bench();
    bench.socket.isFull = true;
    bench.side.send(new Uint8Array(3), true);
    bench.side.send(new Uint8Array(4), true);
    bench.side.close(4000, "bye");
    assert.equal(bench.side.send(new Uint8Array(5), true), "dropped");
    bench.side.ping(new Uint8Array(1));
    bench.side.onMessage(EMPTY, true);
    bench.side.close(1000, "again");
    await bench.drain();
    assert.deepEqual(bench.socket.calls, ["send 3", "send 4", "end 4000 bye"]);
    assert.deepEqual(bench.ends, [{ code: 4000, reason: "bye" }]);
    assert.deepEqual(bench.events, []);
  });

  it("cuts a client that does not take them in time", () => {
    const bench = new Bench({ sendTimeoutMs: 0 });
    bench.socket.isFull = true;
    bench.side.send(new Uint8Array(3), true);
    bench.side.close(4000, "bye");
    bench.pass(30_000);
    assert.deepEqual(bench.ends, []);
    bench.pass(1_000);
    assert.deepEqual(bench.ends, [{ code: 4000, reason: "bye" }]);
    assert.equal(bench.socket.calls.at(-1), "close");
  });

  it("touches nothing after its end", async () => {
    const bench = new Bench();
    bench.socket.isFull = true;
    bench.side.send(new Uint8Array(3), true);
    bench.socket.heldBytes = 0;
    bench.side.onDrain();
    bench.side.destroy();
    await nextTurn();
    bench.side.destroy();
    bench.side.close(1000, "");
    bench.side.ping(new Uint8Array(1));
    bench.side.dismiss();
    bench.pass(100_000);
    assert.equal(bench.side.send(new Uint8Array(3), true), "dropped");
    assert.deepEqual(bench.socket.calls, ["send 3", "close"]);
    assert.equal(bench.ends.length, 1);
    assert.equal(bench.finished, 1);
  });

  it("says goodbye when the server stops, unless messages wait", () => {
    const bench = new Bench();
    bench.side.dismiss();
    assert.deepEqual(bench.socket.calls, ["end 1001 the server stops"]);
    const full = new Bench();
    full.socket.isFull = true;
    full.side.send(new Uint8Array(3), true);
    full.side.dismiss();
    assert.deepEqual(full.socket.calls, ["send 3", "close"]);
    assert.equal(full.ends[0]?.code, 1001);
  });

  it("closes after a message that is too large", () => {
    const bench = new Bench();
    bench.side.onMessage(new Uint8Array(LARGEST_MESSAGE_BYTES), true);
    assert.equal(bench.events.length, 1);
    bench.side.onMessage(new Uint8Array(LARGEST_MESSAGE_BYTES + 1), true);
    assert.equal(bench.events.length, 1);
    assert.equal(bench.ends[0]?.code, 1009);
  });

  it("cuts the client when its responder throws", () => {
    const bench = new Bench();
    bench.onMessage = () => {
      throw new Error("a bug");
    };
    bench.side.onMessage(EMPTY, true);
    assert.equal(bench.errors.length, 1);
    assert.equal(bench.ends[0]?.code, 1006);
  });

  for (const [code, text, expected] of [
    [1000, "", 1000],
    [4001, "bye", 4001],
    [1005, "", 1005],
    [1006, "Received TCP FIN before WebSocket close frame", 1006],
    [1006, "", 1006],
    [1006, "Received too big message", 1009],
    [1006, "Received invalid UTF-8", 1007],
    [1006, "Received invalid WebSocket frame", 1002],
    [1006, "Received invalid close payload", 1005],
  ] as const) {
    it(`reads the end ${code} "${text}" of the library as ${expected}`, () => {
      const bench = new Bench();
      bench.socket.isClosed = true;
      bench.side.onClosed(toEnd(code, text));
      assert.deepEqual(bench.ends, [{ code: expected, reason: code === 1006 ? "" : text }]);
    });
  }
});

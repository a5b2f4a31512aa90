import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import type { WebSocketSide } from "../../runtime/http/web-socket.ts";
import { Tunnel } from "../../runtime/proxy/tunnel.ts";
import { WaitingBytes } from "../../runtime/lib/waiting-bytes.ts";
import { LazyFrames } from "../../runtime/http/web-socket-frames.ts";

/** The connection to an upstream. The test sends the upstream's bytes, and sees those for it. */
class FakeConnection extends Duplex {
  /** Frames for the upstream, without their masks. */
  readonly written: Buffer[] = [];
  /** The upstream takes no bytes. */
  isStuck = false;
  hasEnded = false;

  constructor() {
    super({ allowHalfOpen: false });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(chunk);
    if (!this.isStuck) done();
  }

  override _final(done: () => void): void {
    this.hasEnded = true;
    done();
  }
}

/** A client's side that is full when the test says so. */
class FakeSide implements WebSocketSide {
  readonly sent: string[] = [];
  readonly closes: [number, string][] = [];
  readonly pings: string[] = [];
  readonly bufferedBytes = 0;
  isFull = false;
  isWaiting = false;

  send(bytes: Uint8Array): "took" | "buffered" {
    this.sent.push(Buffer.from(bytes).toString());
    if (this.isFull) this.isWaiting = true;
    return this.isWaiting ? "buffered" : "took";
  }

  ping(bytes: Uint8Array): void {
    this.pings.push(Buffer.from(bytes).toString());
  }

  close(code: number, reason: string): void {
    this.closes.push([code, reason]);
  }

  destroy(): void {
    assert.fail("not asked");
  }
}

const frames = await new LazyFrames().load();

class Bench {
  readonly connection = new FakeConnection();
  readonly side = new FakeSide();
  over = 0;
  readonly tunnel: Tunnel;

  constructor({ first = Buffer.alloc(0), waiting = new WaitingBytes(1e9) } = {}) {
    const onOver = (): void => void this.over++;
    this.tunnel = new Tunnel(this.connection, { frames, waiting, onOver });
    this.tunnel.begin(this.side, first);
  }

  /** The client takes all that waits. */
  room(): void {
    if (!this.side.isWaiting) return;
    this.side.isWaiting = false;
    this.tunnel.onRoom();
  }
}

/** Returns a frame of an upstream. */
function toFrame(opcode: number, text: string | Buffer): Buffer {
  const payload = Buffer.from(text);
  return Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload]);
}

/** Returns opcode and payload of a frame for an upstream. */
function fromFrame(frame: Buffer): [number, string] {
  const mask = frame.subarray(2, 6);
  const payload = frame.subarray(6).map((byte, at) => byte ^ (mask[at % 4] ?? 0));
  return [(frame[0] ?? 0) & 0x0f, Buffer.from(payload).toString("latin1")];
}

describe("Tunnel", () => {
  it("pauses the upstream only while a message waits for the client", async () => {
    const event = fc.constantFrom("one", "three", "half", "full", "free", "room", "turn");
    await fc.assert(
      fc.asyncProperty(fc.array(event, { maxLength: 40 }), async (events) => {
        const bench = new Bench();
        const { connection, side } = bench;
        const expected: string[] = [];
        let rest = Buffer.alloc(0);
        const next = (): Buffer => {
          expected.push(`message ${expected.length}`);
          return toFrame(1, `message ${expected.length - 1}`);
        };
        for (const kind of events) {
          if (kind === "one") rest = Buffer.concat([rest, next()]);
          else if (kind === "three") rest = Buffer.concat([rest, next(), next(), next()]);
          else if (kind === "half") rest = Buffer.concat([rest, next()]);
          else if (kind === "full") side.isFull = true;
          else if (kind === "free") side.isFull = false;
          else if (kind === "room") bench.room();
          else await nextTurn();
          // The last frame of "half" arrives in two pieces.
          const size = kind === "half" ? rest.length - 5 : rest.length;
          if (size > 0) connection.push(rest.subarray(0, size));
          rest = rest.subarray(Math.max(size, 0));
          await nextTurn();
          assert.equal(connection.isPaused(), side.isWaiting);
        }
        if (rest.length > 0) connection.push(rest);
        side.isFull = false;
        while (side.sent.length < expected.length) {
          bench.room();
          await nextTurn();
        }
        assert.deepEqual(side.sent, expected);
        connection.destroy();
      }),
      { numRuns: 100 },
    );
  });

  it("passes on messages that came with the upstream's answer", () => {
    const bench = new Bench({ first: Buffer.concat([toFrame(1, "a"), toFrame(1, "b")]) });
    assert.deepEqual(bench.side.sent, ["a", "b"]);
  });

  it("copies lent bytes, and masks them", () => {
    const bench = new Bench();
    const lent = Buffer.from("message");
    bench.tunnel.onMessage(lent, false);
    bench.tunnel.onPing(lent);
    bench.tunnel.onPong(lent);
    assert.equal(lent.toString(), "message", "they are not changed");
    lent.fill(0);
    assert.deepEqual(bench.connection.written.map(fromFrame), [
      [1, "message"],
      [9, "message"],
      [10, "message"],
    ]);
  });

  it("masks each frame anew", () => {
    const bench = new Bench();
    for (let at = 0; at < 5_000; at++) bench.tunnel.onPong(Buffer.alloc(0));
    const masks = bench.connection.written.map((frame) => frame.readUInt32BE(2));
    assert.ok(new Set(masks).size > 4_980, "a few may be equal");
  });

  it("passes pings of the upstream on", async () => {
    const bench = new Bench();
    bench.connection.push(toFrame(9, "ping"));
    await nextTurn();
    assert.deepEqual(bench.side.pings, ["ping"]);
    assert.deepEqual(bench.connection.written, [], "the client answers");
  });

  it("is over once both sides are closed", async () => {
    const bench = new Bench();
    bench.tunnel.onClose({ code: 4000, reason: "bye" });
    assert.equal(bench.over, 0);
    assert.deepEqual(fromFrame(Buffer.concat(bench.connection.written)), [8, "\x0f\xa0bye"]);
    // What the upstream sent before is dropped, and its close frame is read.
    bench.connection.push(Buffer.concat([toFrame(1, "late"), toFrame(8, "\x0f\xa0")]));
    bench.connection.push(null);
    await nextTurn();
    await nextTurn();
    assert.deepEqual(bench.side.sent, []);
    assert.deepEqual(bench.side.closes, []);
    assert.equal(bench.over, 1);
  });

  it("ends the connection without a close frame for a client that was cut", async () => {
    const bench = new Bench();
    bench.tunnel.onClose({ code: 1006, reason: "" });
    await nextTurn();
    assert.deepEqual(bench.connection.written, []);
    assert.equal(bench.connection.hasEnded, true);
  });

  it("answers the close frame of the upstream, and closes the client's side once", async () => {
    const bench = new Bench();
    bench.connection.push(
      toFrame(8, Buffer.concat([Buffer.from([0x0b, 0xb9]), Buffer.from("bye")])),
    );
    await nextTurn();
    assert.deepEqual(bench.side.closes, [[3001, "bye"]]);
    assert.equal(bench.connection.hasEnded, true);
    assert.deepEqual(fromFrame(Buffer.concat(bench.connection.written)), [8, "\x0b\xb9bye"]);
    bench.connection.destroy();
    await nextTurn();
    assert.equal(bench.over, 0);
    bench.tunnel.onClose({ code: 3001, reason: "bye" });
    assert.equal(bench.side.closes.length, 1);
    assert.equal(bench.over, 1);
  });

  for (const code of [1002, 1007, 1011]) {
    it(`passes the code ${code} of the upstream's close frame on`, async () => {
      const bench = new Bench();
      bench.connection.push(toFrame(8, Buffer.from([code >> 8, code & 0xff])));
      await nextTurn();
      assert.deepEqual(bench.side.closes, [[code, ""]]);
      bench.connection.destroy();
    });
  }

  it("closes the client's side with 1011 when the upstream is lost", async () => {
    const bench = new Bench();
    bench.connection.destroy(new Error("reset"));
    await nextTurn();
    assert.deepEqual(bench.side.closes, [[1011, ""]]);
    bench.tunnel.onClose({ code: 1011, reason: "" });
    assert.equal(bench.over, 1);
  });

  for (const [name, bytes, toClient, toUpstream] of [
    ["an unknown opcode", Buffer.from([0x83, 0]), 1011, 1002],
    ["a mask", Buffer.from([0x81, 0x80, 0, 0, 0, 0]), 1011, 1002],
    ["text that is not UTF-8", Buffer.from([0x81, 1, 0xff]), 1011, 1007],
    ["a message above 16 MiB", Buffer.from([0x82, 127, 0, 0, 0, 0, 1, 0, 0, 1]), 1009, 1009],
  ] as const) {
    it(`ends both sides after ${name} of the upstream`, async () => {
      const bench = new Bench();
      bench.connection.push(bytes);
      bench.connection.push(toFrame(1, "more"));
      await nextTurn();
      assert.deepEqual(bench.side.closes, [[toClient, ""]]);
      assert.deepEqual(bench.side.sent, []);
      const [opcode, payload] = fromFrame(Buffer.concat(bench.connection.written));
      assert.equal(opcode, 8);
      assert.equal(Buffer.from(payload, "latin1").readUInt16BE(0), toUpstream);
      bench.connection.destroy();
    });
  }

  it("closes a client that sends far more than the upstream reads", () => {
    const bench = new Bench();
    bench.connection.isStuck = true;
    const bytes = Buffer.alloc(16 * 1024 * 1024);
    for (let at = 0; at < 4; at++) {
      assert.deepEqual(bench.side.closes, []);
      bench.tunnel.onMessage(bytes, true);
    }
    assert.deepEqual(bench.side.closes, [[1013, "the upstream reads too slowly"]]);
    bench.connection.destroy();
  });

  for (const [name, send] of [
    ["messages", (tunnel) => tunnel.onMessage(Buffer.alloc(0), true)],
    ["pings", (tunnel) => tunnel.onPing(Buffer.alloc(0))],
    ["pongs", (tunnel) => tunnel.onPong(Buffer.alloc(0))],
  ] as const satisfies [string, (tunnel: Tunnel) => void][]) {
    it(`closes a client that floods its upstream with empty ${name}`, () => {
      const bench = new Bench();
      bench.connection.isStuck = true;
      let sent = 0;
      while (bench.side.closes.length === 0 && sent++ < 1_000_000) send(bench.tunnel);
      assert.ok(sent < 150_000, String(sent));
      bench.connection.destroy();
    });
  }

  it("counts the frames that wait, and none that has left", async () => {
    const bench = new Bench();
    for (let round = 0; round < 20; round++) {
      for (let at = 0; at < 10_000; at++) bench.tunnel.onPing(Buffer.alloc(0));
      await nextTurn();
    }
    assert.deepEqual(bench.side.closes, []);
  });

  it("bounds the bytes of all tunnels, and closes those with more than a share", async () => {
    const waiting = new WaitingBytes(300_000);
    const benches = Array.from({ length: 3 }, () => new Bench({ waiting }));
    const [large = assert.fail(), next = assert.fail(), small = assert.fail()] = benches;
    for (const { connection } of benches) connection.isStuck = true;
    large.tunnel.onMessage(Buffer.alloc(200_000), true);
    small.tunnel.onMessage(Buffer.alloc(1_000), true);
    assert.deepEqual(large.side.closes, []);
    next.tunnel.onMessage(Buffer.alloc(120_000), true);
    small.tunnel.onMessage(Buffer.alloc(1_000), true);
    large.tunnel.onMessage(Buffer.alloc(1), true);
    const codes = benches.map(({ side }) => side.closes.map(([code]) => code));
    assert.deepEqual(codes, [[1013], [1013], []]);
    large.connection.destroy();
    await nextTurn();
    small.tunnel.onMessage(Buffer.alloc(170_000), true);
    assert.deepEqual(small.side.closes, [], "the bytes of the lost connection count no longer");
    for (const { connection } of benches) connection.destroy();
  });

  it("cuts an upstream that does not close, unless it still takes bytes", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const bench = new Bench();
    bench.connection.isStuck = true;
    bench.tunnel.onMessage(Buffer.alloc(1_000), true);
    bench.tunnel.onClose({ code: 1000, reason: "" });
    t.mock.timers.tick(9_999);
    assert.equal(bench.connection.destroyed, false);
    t.mock.timers.tick(1);
    assert.equal(bench.connection.destroyed, true);
  });
});

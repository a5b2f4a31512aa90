import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  type FrameSocket,
  PIECE_BYTES,
  WebSocketWriter,
} from "../../runtime/engine/web-socket-writer.ts";

/** Size from which the library writes in the way that does not note a failure. */
const LARGE_BYTES = 16 * 1024;

/** A message as the client gets it. */
interface Arrived {
  bytes: Buffer;
  isBinary: boolean;
  isCompressed: boolean;
  pieces: number;
}

/**
 * The library's WebSocket, as its source sends: it keeps the bytes that the kernel does not take, and asks to be told
 * when the kernel has room. After its callback `drain` it asks no longer, unless a write failed meanwhile. A large write
 * does not note its failure, unless the message is compressed.
 */
class ModelSocket implements FrameSocket {
  /** Messages as the client gets them, in their order. */
  readonly arrived: Arrived[] = [];
  onDrain: () => void = () => {};
  polls = false;
  pings = 0;
  readonly #capacity: number;
  #free: number;
  #held = 0;
  #hasFailed = false;
  #unfinished: Arrived | null = null;

  constructor(capacity: number) {
    this.#capacity = capacity;
    this.#free = capacity;
  }

  send(bytes: Uint8Array, isBinary: boolean, isCompressed: boolean): number {
    assert.equal(this.#unfinished, null, "no message within another");
    this.arrived.push({ bytes: Buffer.from(bytes), isBinary, isCompressed, pieces: 1 });
    return this.#write(bytes.length, isCompressed);
  }

  sendFirstFragment(bytes: Uint8Array, isBinary: boolean): number {
    assert.equal(this.#unfinished, null, "no message within another");
    this.#unfinished = { bytes: Buffer.from(bytes), isBinary, isCompressed: false, pieces: 1 };
    return this.#write(bytes.length);
  }

  sendFragment(bytes: Uint8Array): number {
    assert.ok(this.#unfinished !== null, "a first fragment");
    this.#unfinished.bytes = Buffer.concat([this.#unfinished.bytes, bytes]);
    this.#unfinished.pieces++;
    return this.#write(bytes.length);
  }

  sendLastFragment(bytes: Uint8Array): number {
    const status = this.sendFragment(bytes);
    assert.ok(this.#unfinished !== null);
    this.arrived.push(this.#unfinished);
    this.#unfinished = null;
    return status;
  }

  ping(): void {
    this.pings++;
    this.#write(0);
  }

  getBufferedAmount(): number {
    return this.#held;
  }

  cork(callback: () => void): void {
    callback();
    if (this.#held > 0) this.#flush();
  }

  /** The client takes bytes, and the kernel tells the library once a third of its buffer is free. */
  take(bytes: number): void {
    this.#free = Math.min(this.#capacity, this.#free + bytes);
    if (!this.polls || this.#free < this.#capacity / 3) return;
    this.#hasFailed = false;
    const before = this.#held;
    if (before > 0) this.#flush();
    if (before === 0 || this.#held < before) this.onDrain();
    if (!this.#hasFailed) this.polls = false;
  }

  #write(payload: number, isCompressed = false): number {
    const bytes = payload + 10;
    const isNoted = this.#held > 0 || payload < LARGE_BYTES || isCompressed;
    this.#held += bytes;
    return this.#flush(isNoted) ? 1 : 0;
  }

  #flush(isNoted = true): boolean {
    const taken = Math.min(this.#free, this.#held);
    this.#free -= taken;
    this.#held -= taken;
    if (this.#held === 0) return true;
    this.polls = true;
    if (isNoted) this.#hasFailed = true;
    return false;
  }
}

/** A writer, its socket, and the turns of the event loop. */
class Bench {
  readonly socket: ModelSocket;
  readonly writer: WebSocketWriter;
  readonly deferred: (() => void)[] = [];
  rooms = 0;

  constructor(capacity: number, { compresses = false } = {}) {
    this.socket = new ModelSocket(capacity);
    this.writer = new WebSocketWriter(this.socket, {
      compresses,
      now: () => 0,
      defer: (callback) => void this.deferred.push(callback),
      onRoom: () => {
        assert.equal(this.writer.isBlocked, false);
        this.rooms++;
      },
    });
    this.socket.onDrain = () => this.writer.onDrain();
  }

  turn(): void {
    for (const callback of this.deferred.splice(0)) callback();
  }

  /** The invariant of the writer. */
  check(): void {
    if (!this.writer.isBlocked) return;
    // The library also calls `drain` if a ping has taken the last bytes with it.
    const willCome = this.socket.polls || this.deferred.length > 0;
    assert.ok(willCome, "a drain or a deferred call comes");
  }
}

const EVENT = fc.oneof(
  fc.record({ kind: fc.constant("send" as const), size: fc.integer({ min: 0, max: 60_000 }) }),
  fc.record({ kind: fc.constant("take" as const), size: fc.integer({ min: 1, max: 40_000 }) }),
  fc.record({ kind: fc.constantFrom("turn" as const, "ping" as const, "nudge" as const) }),
);

describe("WebSocketWriter", () => {
  it("delivers every message in order, and never waits for an event that does not come", () => {
    fc.assert(
      fc.property(
        fc.array(EVENT, { maxLength: 60 }),
        fc.integer({ min: 100, max: 50_000 }),
        fc.boolean(),
        (events, capacity, compresses) => {
          const bench = new Bench(capacity, { compresses });
          const { socket, writer } = bench;
          const sent: { bytes: Buffer; isBinary: boolean }[] = [];
          let owed = false;
          for (const event of events) {
            if (event.kind === "send") {
              const bytes = Buffer.alloc(event.size, sent.length + 1);
              const isBinary = sent.length % 2 === 0;
              sent.push({ bytes, isBinary });
              if (!writer.send(bytes, isBinary)) owed = true;
            } else if (event.kind === "take") socket.take(event.size);
            else if (event.kind === "turn") bench.turn();
            else if (event.kind === "ping") socket.ping();
            else writer.nudge();
            bench.check();
            if (bench.rooms > 0) owed = false;
            bench.rooms = 0;
            assert.equal(writer.isBlocked, owed, "room is told of when it is there");
          }
          for (let at = 0; writer.isBlocked; at++) {
            assert.ok(at < 100_000, "it ends");
            socket.take(capacity);
            bench.turn();
            bench.check();
          }
          assert.equal(bench.rooms, owed ? 1 : 0);
          const arrived = socket.arrived.map(({ bytes, isBinary }) => ({ bytes, isBinary }));
          assert.equal(arrived.length, sent.length);
          for (const [at, { bytes, isBinary }] of sent.entries()) {
            assert.equal(arrived[at]?.isBinary, isBinary);
            assert.equal(arrived[at].bytes.equals(bytes), true, `message ${at}`);
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("sends nothing within the callback of the library", () => {
    const bench = new Bench(1_000);
    bench.writer.send(new Uint8Array(5_000), true);
    bench.writer.send(new Uint8Array(10), true);
    for (let at = 0; bench.deferred.length === 0; at++) {
      assert.equal(bench.socket.arrived.length, 1, `drain ${at}`);
      bench.socket.take(1_000);
    }
    assert.equal(bench.socket.arrived.length, 1);
    bench.turn();
    assert.equal(bench.socket.arrived.length, 2);
  });

  it("sends large messages in fragments, and others whole", () => {
    const bench = new Bench(1_000_000);
    for (const size of [0, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES]) {
      assert.equal(bench.writer.send(new Uint8Array(size), true), true);
    }
    assert.deepEqual(
      bench.socket.arrived.map(({ pieces }) => pieces),
      [1, 1, 2, 3],
    );
    assert.ok(PIECE_BYTES < LARGE_BYTES);
  });

  it("compresses messages of 1 to 256 KiB where the client agreed, and sends them whole", () => {
    const bench = new Bench(10_000_000, { compresses: true });
    const plain = new Bench(10_000_000);
    for (const size of [0, 1023, 1024, 3 * PIECE_BYTES, 256 * 1024, 256 * 1024 + 1]) {
      assert.equal(bench.writer.send(new Uint8Array(size), true), true);
      assert.equal(plain.writer.send(new Uint8Array(size), true), true);
    }
    assert.deepEqual(
      bench.socket.arrived.map(({ isCompressed, pieces }) => [isCompressed, pieces]),
      [
        [false, 1],
        [false, 1],
        [true, 1],
        [true, 1],
        [true, 1],
        [false, 17],
      ],
    );
    assert.ok(plain.socket.arrived.every(({ isCompressed }) => !isCompressed));
  });

  it("goes on after a nudge for which the kernel has room", () => {
    const bench = new Bench(900);
    bench.writer.send(new Uint8Array(1_000), true);
    // Less than a third is free: the kernel does not tell.
    bench.socket.take(200);
    assert.equal(bench.deferred.length, 0);
    bench.writer.nudge();
    assert.equal(bench.deferred.length, 1);
    bench.turn();
    assert.equal(bench.rooms, 1);
  });

  it("counts the memory that messages without bytes take", () => {
    const bench = new Bench(100);
    bench.writer.send(new Uint8Array(1_000), true);
    const before = bench.writer.bufferedBytes;
    for (let count = 0; count < 1_000; count++) bench.writer.send(new Uint8Array(0), true);
    assert.ok(bench.writer.bufferedBytes - before >= 64 * 1_000);
    for (let at = 0; at < 2_000 && bench.rooms === 0; at++) {
      bench.socket.take(100);
      bench.turn();
    }
    assert.equal(bench.rooms, 1);
    assert.equal(bench.writer.bufferedBytes, 0);
  });

  it("sends nothing after it was stopped", () => {
    const bench = new Bench(100);
    bench.writer.send(new Uint8Array(1_000), true);
    bench.writer.send(new Uint8Array(1_000), true);
    bench.writer.stop();
    for (let at = 0; at < 20; at++) {
      bench.socket.take(100);
      bench.turn();
    }
    assert.equal(bench.writer.send(new Uint8Array(1), true), true);
    assert.equal(bench.socket.arrived.length, 1);
    assert.equal(bench.rooms, 0);
  });
});

import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { Socket } from "node:net";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import { Channel } from "../../runtime/channel/channel.ts";
import { Codec } from "../../runtime/channel/codec.ts";
import { FrameMemories } from "../../runtime/channel/frame-memory.ts";
import { FrameBuffer } from "../../runtime/channel/frame-buffer.ts";
import { fill } from "./fill.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { openSocketPair } from "../helpers/socket-pair.ts";

type Message = readonly unknown[];

/** One end of a channel. Records its messages and its close. */
class End {
  readonly channel: Channel<Message, Message>;
  readonly received: Message[] = [];
  readonly closes: (RuntimeError | null)[] = [];
  readonly #closing = new EventEmitter();
  /** Settles when the channel has closed. */
  readonly closed: Promise<unknown> = once(this.#closing, "closed");
  onMessage: (message: Message) => void = () => {};
  #wake: () => void = () => {};

  constructor(socket: Socket, options: { maxFrameBytes?: number } = {}) {
    this.channel = new Channel<Message, Message>(socket, {
      maxFrameBytes: options.maxFrameBytes ?? 1024 * 1024,
      parse: (value) => {
        if (Array.isArray(value)) return value as Message;
        throw new RuntimeError("ERR_PROTOCOL", "no message");
      },
      onMessage: (message) => {
        this.received.push(message);
        this.onMessage(message);
        this.#wake();
      },
      onClose: (error) => {
        this.closes.push(error);
        this.#closing.emit("closed");
      },
    });
  }

  async until(count: number): Promise<Message[]> {
    while (this.received.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.received;
  }
}

async function openChannelPair(t: TestContext): Promise<[End, End]> {
  const [near, far] = await openSocketPair(t);
  const ends: [End, End] = [new End(near), new End(far)];
  // The channels own the sockets now.
  t.after(() => {
    for (const { channel } of ends) channel.destroy(new RuntimeError("ERR_WORKER_EXITED", "over"));
  });
  return ends;
}

/** The frames that arrive, each as its messages. Wakes waiters for a number of frames. */
class FrameLog {
  readonly frames: unknown[][] = [];
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
    const buffer = new FrameBuffer({ maxFrameBytes: 64 * 1024 * 1024 });
    const codec = new Codec();
    socket.on("data", (bytes: Buffer) => {
      fill(buffer, bytes, (frame) => this.frames.push(codec.decode(Buffer.from(frame))));
    });
  }

  async until(count: number): Promise<unknown[][]> {
    while (this.frames.length < count) await once(this.#socket, "data");
    return this.frames;
  }
}

/** Stops the clock that measures how long a message has waited. */
function freezeClock(t: TestContext): { nowMs: number } {
  const clock = { nowMs: 1_000 };
  t.mock.method(performance, "now", () => clock.nowMs);
  return clock;
}

describe("Channel", { timeout: 60_000 }, () => {
  it("carries messages in order, in both directions", async (t) => {
    const [near, far] = await openChannelPair(t);
    const sent = Array.from({ length: 500 }, (_, number) => [number, "x".repeat(number)]);
    for (const message of sent) {
      near.channel.send(message);
      far.channel.send(message);
      if (Number(message[0]) % 7 === 0) await nextTurn();
    }
    assert.deepEqual(await far.until(sent.length), sent);
    assert.deepEqual(await near.until(sent.length), sent);
  });

  it("sends all messages of one turn in one frame, and the next turn's in another", async (t) => {
    freezeClock(t);
    const [socket, other] = await openSocketPair(t);
    const log = new FrameLog(other);
    const { channel } = new End(socket);
    channel.send([1]);
    await Promise.resolve();
    channel.send([2]);
    process.nextTick(() => channel.send([3]));
    assert.deepEqual(await log.until(1), [[[1], [2], [3]]]);
    await nextTurn();
    channel.send([4]);
    assert.deepEqual(await log.until(2), [[[1], [2], [3]], [[4]]]);
  });

  it("sends a frame early once its first message has waited", async (t) => {
    const clock = freezeClock(t);
    const [socket, other] = await openSocketPair(t);
    const log = new FrameLog(other);
    const { channel } = new End(socket);
    channel.send([1]);
    clock.nowMs += 1.5;
    channel.send([2]);
    channel.send([3]);
    assert.deepEqual(await log.until(2), [[[1], [2]], [[3]]]);
  });

  it("keeps frames small, however much body one turn sends", async (t) => {
    freezeClock(t);
    const [socket, other] = await openSocketPair(t);
    const log = new FrameLog(other);
    const { channel } = new End(socket);
    const sizes = Array.from({ length: 100 }, (_, number) => ((number * 13) % 65) * 1024);
    // There is no body: the channel uses the stated size.
    for (const size of sizes) channel.send([size], size);
    channel.close();
    await once(other, "end");
    const received = log.frames.map((frame) => frame.map((message) => (message as [number])[0]));
    assert.deepEqual(received.flat(), sizes);
    const totals = received.map((frame) => frame.reduce((sum, size) => sum + size, 0));
    assert.ok(Math.max(...totals) <= (256 + 64) * 1024, `frames of ${totals.join(", ")} bytes`);
    // Several messages share a frame.
    assert.ok(totals.length < 20, `${totals.length} frames`);
  });

  it("sends a message that is larger than a usual frame in a frame of its own", async (t) => {
    freezeClock(t);
    const [socket, other] = await openSocketPair(t);
    const log = new FrameLog(other);
    const { channel } = new End(socket);
    const kib = 1024;
    for (const size of [1, 200, 5_000, 5_000, 1, 300, 0, 200]) channel.send([size], size * kib);
    const frames = await log.until(6);
    assert.deepEqual(frames, [[[1], [200]], [[5_000]], [[5_000]], [[1]], [[300]], [[0], [200]]]);
  });

  it("has used lent bytes when it returns, and keeps the order", async (t) => {
    const [near, far] = await openChannelPair(t);
    const wrong: unknown[] = [];
    far.onMessage = ([kind, number, bytes]) => {
      if (kind !== "lent") return;
      const expected = Buffer.alloc(100_000, Number(number));
      if (!(bytes instanceof Buffer) || !bytes.equals(expected)) wrong.push(number);
    };
    const lent = Buffer.alloc(100_000);
    for (let number = 0; number < 20; number++) {
      near.channel.send(["before", number]);
      near.channel.sendLent(["lent", number, lent.fill(number)], lent.length);
    }
    lent.fill(0xff);
    const received = await far.until(40);
    for (const [index, [kind, value]] of received.entries()) {
      const number = Math.floor(index / 2);
      if (index % 2 === 0) assert.deepEqual([kind, value], ["before", number]);
      else assert.equal(value, number);
    }
    assert.deepEqual(wrong, []);
  });

  it("accepts longer frames after its limit was raised", async (t) => {
    const [socket, other] = await openSocketPair(t);
    const near = new End(socket, { maxFrameBytes: 10 });
    const far = new End(other);
    near.channel.maxFrameBytes = 100;
    far.channel.send(["x".repeat(50)]);
    await near.until(1);
    far.channel.send(["x".repeat(150)]);
    await near.closed;
    assert.equal(near.closes[0]?.code, "ERR_PROTOCOL");
  });

  it("delivers what was sent before close(), then ends both sides in order, once", async (t) => {
    const [near, far] = await openChannelPair(t);
    near.channel.send([1]);
    near.channel.send([2, Buffer.alloc(512 * 1024)]);
    near.channel.close();
    near.channel.close();
    near.channel.destroy(new RuntimeError("ERR_CHANNEL_CLOSED", "too late"));
    assert.deepEqual(near.closes, [null]);
    assert.equal(near.channel.closed, true);
    await far.closed;
    assert.deepEqual(
      far.received.map(([number]) => number),
      [1, 2],
    );
    assert.deepEqual(far.closes, [null]);
  });

  it("drops messages that are sent after the close", async (t) => {
    const [near, far] = await openChannelPair(t);
    near.channel.close();
    near.channel.send([1]);
    await far.closed;
    far.channel.send([2]);
    await nextTurn();
    assert.deepEqual([near.received, far.received], [[], []]);
  });

  it("reports the reason when it is destroyed, and loses the queue", async (t) => {
    const [near, far] = await openChannelPair(t);
    const reason = new RuntimeError("ERR_WORKER_EXITED", "gone");
    near.channel.send([1]);
    near.channel.destroy(reason);
    assert.deepEqual(near.closes, [reason]);
    await far.closed;
    await nextTurn();
    assert.deepEqual(far.received, []);
    assert.equal(near.closes.length, 1);
    assert.equal(far.closes.length, 1);
  });

  it("reports ERR_CHANNEL_CLOSED, once, when the connection breaks", async (t) => {
    const [socket, other] = await openSocketPair(t);
    const end = new End(socket);
    other.resetAndDestroy();
    await end.closed;
    if (!socket.closed) await once(socket, "close");
    assert.deepEqual(
      end.closes.map((error) => error?.code),
      ["ERR_CHANNEL_CLOSED"],
    );
  });

  it("lends the bytes that it has read, and reuses the memory", async (t) => {
    const [near, far] = await openChannelPair(t);
    const memory = new Set<ArrayBufferLike>();
    const texts: string[] = [];
    near.onMessage = ([bytes]) => {
      assert.ok(bytes instanceof Uint8Array);
      memory.add(bytes.buffer);
      texts.push(String(Buffer.from(bytes)));
    };
    for (const text of ["one", "two", "three"]) {
      far.channel.send([Buffer.from(text)]);
      await near.until(texts.length + 1);
    }
    assert.deepEqual(texts, ["one", "two", "three"]);
    assert.equal(memory.size, 1);
    assert.equal(near.channel.receivedBytes > 0, true);
  });

  it("delivers each byte as it was sent, however slow the other side is", async (t) => {
    const [near, far] = await openChannelPair(t);
    const sizes = Array.from({ length: 120 }, (_, number) => ((number * 37) % 120) * 1_000);
    for (const [number, size] of sizes.entries()) {
      // All in one turn, in which the other side cannot read.
      near.channel.send([number, Buffer.alloc(size, number)], size);
    }
    const wrong: unknown[] = [];
    far.onMessage = ([number, bytes]) => {
      const expected = Buffer.alloc(sizes[Number(number)] ?? 0, Number(number));
      if (!(bytes instanceof Buffer) || !bytes.equals(expected)) wrong.push(number);
    };
    await far.until(sizes.length);
    assert.deepEqual(wrong, []);
  });

  it("ends without an error once the other side has closed", async (t) => {
    const [near, far] = await openChannelPair(t);
    far.channel.send(["last"]);
    far.channel.close();
    await near.closed;
    assert.deepEqual([near.received, near.closes], [[["last"]], [null]]);
  });

  it("breaks with ERR_PROTOCOL on an invalid frame or message, and on a long frame", async (t) => {
    const cases = {
      "no MessagePack": Buffer.from([1, 0, 0, 0, 0xc1]),
      "no array": Buffer.from([1, 0, 0, 0, 0x05]),
      "no message in it": Buffer.from([2, 0, 0, 0, 0x91, 0x05]),
      "too long": Buffer.from([0xff, 0xff, 0xff, 0xff]),
    };
    for (const [name, bytes] of Object.entries(cases)) {
      const [socket, other] = await openSocketPair(t);
      const end = new End(socket);
      other.write(bytes);
      await Promise.all([end.closed, once(other, "close")]);
      assert.deepEqual(
        end.closes.map((error) => error?.code),
        ["ERR_PROTOCOL"],
        name,
      );
    }
  });

  it("breaks when its owner finds an invalid message", async (t) => {
    const [near, far] = await openChannelPair(t);
    near.onMessage = () => {
      throw new RuntimeError("ERR_PROTOCOL", "not now");
    };
    far.channel.send([1]);
    far.channel.send([2]);
    await near.closed;
    assert.deepEqual(near.received, [[1]]);
    assert.equal(near.closes[0]?.message, "not now");
  });

  it("delivers nothing more once its owner has closed it within a frame", async (t) => {
    freezeClock(t);
    const [near, far] = await openChannelPair(t);
    near.onMessage = () => near.channel.close();
    far.channel.send([1]);
    far.channel.send([2]);
    await far.closed;
    await nextTurn();
    assert.deepEqual(near.received, [[1]]);
    assert.deepEqual(near.closes, [null]);
  });

  it("lets a bug of its owner surface as it is", () => {
    // A socket without a handle emits what it reads.
    const socket = new Socket();
    const end = new End(socket);
    const bug = new TypeError("bug");
    end.onMessage = () => {
      throw bug;
    };
    // As the socket itself would call back; from there it would end the process.
    assert.throws(
      () => socket.emit("data", new Codec().encode([[1]], new FrameMemories().pick(0))),
      bug,
    );
    assert.deepEqual(end.closes, []);
  });
});

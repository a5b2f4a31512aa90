import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as nextTurn } from "node:timers/promises";
import * as fc from "fast-check";
import type { BodySource } from "../../../runtime/http/client.ts";
import type { ListenerContext, UwsClient } from "../../../runtime/engine/uws/uws-client.ts";
import { createContext, openClient } from "./open-client.ts";
import { holdUnread } from "../../helpers/hold-unread.ts";

/** So much may stay in the library's buffer unnoticed: the bytes that find out about the others. */
const UNNOTICED_BYTES = 24;

/**
 * What the library watches a socket for when it goes on, by whether it has something to write: what the last pause of any
 * socket has saved (decision 005).
 */
const savedMasks: [number, number] = [0, 0];
const READABLE = 1;
const WRITABLE = 2;

/**
 * As the library writes, on a socket that takes `room` bytes: what does not fit is kept, the next write tells of it, and
 * a pause is over then. To read meanwhile loses input (decision 027).
 */
class BufferingResponse {
  readonly left: number[] = [];
  room = 0;
  ended = false;
  #mask = READABLE;
  /** Whether the library's own timer runs, which would end the connection. */
  timed = false;
  /** Whether something was written while the library called back. */
  wroteWhileReading = false;
  #buffer: number[] = [];
  #corked: number[] | null = null;
  #calling = false;
  #onData: (chunk: ArrayBuffer, last: boolean) => void = () => {};

  get reads(): boolean {
    return (this.#mask & READABLE) !== 0;
  }

  get losesInput(): boolean {
    return this.reads && this.#buffer.length > UNNOTICED_BYTES;
  }

  receive(bytes: number, last: boolean): void {
    this.#calling = true;
    this.timed = !last;
    this.#onData(new ArrayBuffer(bytes), last);
    this.#calling = false;
  }

  cork(callback: () => void): this {
    this.wroteWhileReading ||= this.#calling;
    assert.equal(this.#corked, null);
    this.#corked = [];
    callback();
    const corked = this.#corked;
    this.#corked = null;
    this.#buffer.push(...corked);
    this.#drain();
    return this;
  }

  write(piece: Uint8Array): boolean {
    assert.ok(this.#corked !== null);
    this.#drain();
    const fits = this.#buffer.length === 0;
    (fits ? this.#corked : this.#buffer).push(...piece);
    return fits;
  }

  end(body?: Uint8Array): this {
    this.wroteWhileReading ||= this.#calling;
    this.left.push(...(body ?? []));
    this.ended = true;
    return this;
  }

  tryEnd(piece: Uint8Array, totalBytes: number): [ok: boolean, done: boolean] {
    this.wroteWhileReading ||= this.#calling;
    this.left.push(...piece);
    return [true, this.left.length === totalBytes];
  }

  close(): void {}

  onData(callback: (chunk: ArrayBuffer, last: boolean) => void): this {
    this.#onData = callback;
    return this;
  }

  onAborted(): this {
    return this;
  }

  onWritable(): this {
    return this;
  }

  writeStatus(): this {
    return this;
  }

  writeHeader(): this {
    return this;
  }

  pause(): void {
    if (this.#mask !== 0) savedMasks[this.#buffer.length > 0 ? 1 : 0] = this.#mask;
    this.#mask = 0;
    this.timed = false;
  }

  resume(): void {
    this.#mask = savedMasks[this.#buffer.length > 0 ? 1 : 0];
    this.timed = true;
  }

  getRemoteAddress(): ArrayBuffer {
    return Uint8Array.of(127, 0, 0, 1).buffer;
  }

  #drain(): void {
    const taken = this.#buffer.splice(0, this.room);
    this.room -= taken.length;
    this.left.push(...taken);
    if (this.#buffer.length > 0) this.#mask = READABLE | WRITABLE;
  }
}

/** What the listener looks at every second. */
const transfers = new Set<UwsClient>();

const HEAD = { status: 200, statusText: "", fields: "", lengthBytes: null };

const CONTEXT = createContext({
  secure: true,
  onTransferStart: (client) => void transfers.add(client),
  onTransferEnd: (client) => void transfers.delete(client),
});

/** A transfer whose client takes nothing although there is much to take. */
async function openBlocked(context: ListenerContext): Promise<BlockedResponse> {
  const res = new BufferingResponse();
  const client = openClient(res, context);
  client.receiveBody({ chunk() {}, end() {} });
  const source = new GrowingSource();
  client.reply({ ...HEAD, body: source });
  source.grow(20_000);
  while (res.reads) await nextTurn();
  return Object.assign(res, { client });
}

type BlockedResponse = BufferingResponse & { readonly client: UwsClient };

/** A body that grows as the test says. Its bytes count up. */
class GrowingSource implements BodySource {
  onChange: (() => void) | null = null;
  state: BodySource["state"] = "open";
  readonly all: number[] = [];
  #read = 0;
  /** What was given last: it is nobody's when more is asked for. */
  #lent: Uint8Array | null = null;

  grow(bytes: number): void {
    for (let at = 0; at < bytes; at++) this.all.push(this.all.length & 255);
    this.onChange?.();
  }

  end(): void {
    this.state = "ended";
    this.onChange?.();
  }

  read(maxBytes: number): Uint8Array | null {
    this.#lent?.fill(0xff);
    this.#lent = null;
    if (this.#read === this.all.length) return null;
    const piece = Uint8Array.from(this.all.slice(this.#read, this.#read + maxBytes));
    this.#read += piece.length;
    this.#lent = piece;
    return piece;
  }

  cancel(): void {}
}

type Step = readonly [what: "room" | "body" | "request", bytes: number];

const STEP: fc.Arbitrary<Step> = fc.tuple(
  fc.constantFrom("room", "body", "request"),
  fc.oneof(fc.nat(40), fc.nat(40_000)),
);

describe("UwsClient, over TLS,", { timeout: 60_000 }, () => {
  it("does not read while the library has some of a response in chunks, whatever the client takes", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(STEP, { maxLength: 25 }), async (steps) => {
        const res = new BufferingResponse();
        const source = new GrowingSource();
        const client = openClient(res, CONTEXT);
        client.receiveBody({ chunk() {}, end() {} });
        client.reply({ ...HEAD, body: source });
        for (const [what, bytes] of steps) {
          await nextTurn();
          if (what === "room") res.room += bytes;
          else if (what === "body") source.grow(bytes);
          else if (res.reads) res.receive(bytes, false);
          assert.ok(!res.losesInput);
        }
        res.room = Infinity;
        // It tries again by a timer.
        while (!res.reads) await nextTurn();
        res.receive(0, true);
        source.end();
        while (!res.ended) await nextTurn();
        assert.deepEqual(res.left, source.all);
        assert.ok(!res.wroteWhileReading);
      }),
      { numRuns: 100 },
    );
  });

  const linux = { skip: process.platform !== "linux" };

  it(
    "reads some for a transfer that is stuck, where so little is unread that none is lost",
    linux,
    async (t) => {
      const port = await holdUnread(t, 10_000);
      const res = await openBlocked({ ...CONTEXT, port });
      res.client.check(performance.now() + 3_000, { keepAlive: false });
      while (!res.reads) await nextTurn();
      // Room comes of it: it goes on although it had failed for so long.
      res.receive(1_000, false);
      assert.ok(!res.reads);
      res.room = Infinity;
      while (!res.reads) await nextTurn();
    },
  );

  it("waits for longer where it is not known how much is unread", async () => {
    // There is no connection to port 0.
    const res = await openBlocked(CONTEXT);
    res.client.check(performance.now() + 3_000, { keepAlive: false });
    // Longer than it takes to look.
    await CONTEXT.unread.find(CONTEXT.port, res.getRemoteAddress(), 60_000);
    await nextTurn();
    assert.ok(!res.reads);
    res.client.check(performance.now() + 30_000, { keepAlive: false });
    assert.ok(res.reads);
    res.room = Infinity;
    while (!res.reads) await nextTurn();
  });

  it("refuses a body in a turn of its own: to write would lose what is read and not parsed yet", async () => {
    const res = new BufferingResponse();
    const client = openClient(res, CONTEXT);
    client.receiveBody({ chunk: () => client.refuse(413), end() {} });
    res.receive(10, false);
    assert.equal(res.left.length, 0);
    await nextTurn();
    assert.equal(String(Buffer.from(res.left)), "Payload Too Large\n");
    assert.ok(!res.wroteWhileReading);
  });

  it("answers in a turn of its own with what the body was when it was lent", async () => {
    const res = new BufferingResponse();
    const client = openClient(res, CONTEXT);
    const body = Buffer.from("lent");
    client.reply({ ...HEAD, body });
    body.fill(0xff);
    await nextTurn();
    assert.equal(String(Buffer.from(res.left)), "lent");
  });

  it("puts off the library's timer while a handler works on a body that ended while it was held back", () => {
    for (const held of [false, true]) {
      const res = new BufferingResponse();
      const client = openClient(res, CONTEXT);
      const flow = client.receiveBody({ chunk() {}, end() {} });
      if (held) flow.pause();
      res.receive(10, true);
      assert.equal(transfers.has(client), held);
      assert.equal(res.timed, held);
      // As often as the timer needs it: it starts anew.
      if (held) client.check(performance.now() + 1_000_000, { keepAlive: true });
      assert.ok(res.reads);
      client.refuse(500);
      assert.ok(!transfers.has(client));
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { type Inflate, LazyFrames } from "../../runtime/http/web-socket-frames.ts";
import { frame, type FrameParts, OPCODES } from "../helpers/web-socket-frames/frames.ts";

const { binary, continuation, pong } = OPCODES;
const RSV1 = 4;
const READ_BYTES = 64 * 1024;
const READS = 50;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** Large reads, and how many of them are still in memory. */
class Reads {
  readonly #all: WeakRef<ArrayBufferLike>[] = [];

  /** Returns the bytes of a new read. */
  next(): Buffer {
    const read = Buffer.alloc(READ_BYTES);
    this.#all.push(new WeakRef(read.buffer));
    return read;
  }

  async kept(): Promise<number> {
    // A weak reference keeps its object until the turn ends.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    return this.#all.filter((read) => read.deref() !== undefined).length;
  }
}

const frames = await new LazyFrames().load();

interface Row {
  name: string;
  isServer: boolean;
  rsv: number;
  inflate?: Inflate;
}

/** The messages of the tests are not compressed. */
const asItIs: Inflate = (bytes) => Buffer.from(bytes);

const ROWS: readonly Row[] = [
  { name: "of a client", isServer: true, rsv: 0 },
  { name: "of a client that may compress", isServer: true, rsv: 0, inflate: asItIs },
  { name: "of a compressed message", isServer: true, rsv: RSV1, inflate: asItIs },
  { name: "of an upstream", isServer: false, rsv: 0 },
];

describe("a receiver of frames", () => {
  for (const { name, isServer, rsv, inflate } of ROWS) {
    const mask = isServer ? ([1, 2, 3, 4] as const) : null;

    it(`keeps no whole read for a small fragment ${name}`, async () => {
      const receiver = frames.createReceiver({ largestBytes: 1024, isServer, inflate });
      const messages: string[] = [];
      receiver.on("message", (bytes: Buffer) => messages.push(bytes.toString()));
      const unsolicited = frame({ opcode: pong, payload: "x".repeat(120), mask });
      const reads = new Reads();
      const receive = (parts: FrameParts): void => {
        const read = reads.next();
        let size = frame({ ...parts, payload: "y", mask }).copy(read);
        while (size + unsolicited.length <= READ_BYTES) size += unsolicited.copy(read, size);
        receiver.write(read.subarray(0, size));
      };
      receive({ opcode: binary, rsv, fin: false });
      for (let at = 1; at < READS; at++) receive({ opcode: continuation, fin: false });
      // The last one may hold the beginning of a frame.
      assert.ok((await reads.kept()) <= 2);
      receive({ opcode: continuation, fin: true });
      assert.deepEqual(messages, ["y".repeat(READS + 1)]);
      receiver.destroy();
    });

    it(`keeps no whole read for a part of a frame ${name}`, async () => {
      const receiver = frames.createReceiver({ largestBytes: 1024, isServer, inflate });
      const messages: string[] = [];
      receiver.on("message", (bytes: Buffer) => messages.push(bytes.toString()));
      const whole = frame({ opcode: binary, rsv, payload: "y".repeat(READS), mask });
      const reads = new Reads();
      const receive = (byte: number): void => {
        const read = reads.next();
        read[READ_BYTES / 2] = byte;
        // As a stream of HTTP/2 gets it: a view on the read of its connection.
        receiver.write(read.subarray(READ_BYTES / 2, READ_BYTES / 2 + 1));
      };
      for (const byte of whole.subarray(0, -1)) receive(byte);
      assert.ok((await reads.kept()) <= 2);
      for (const byte of whole.subarray(-1)) receive(byte);
      assert.deepEqual(messages, ["y".repeat(READS)]);
      receiver.destroy();
    });
  }
});

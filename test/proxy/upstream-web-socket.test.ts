import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { describe, it, type TestContext } from "node:test";
import { LazyFrames } from "../../runtime/http/web-socket-frames.ts";
import { WaitingBytes } from "../../runtime/lib/waiting-bytes.ts";
import { type UpstreamEnd, UpstreamWebSocket } from "../../runtime/proxy/upstream-web-socket.ts";
import {
  closePayload,
  frame,
  type FrameParts,
  OPCODES,
} from "../helpers/web-socket-frames/frames.ts";

const { binary, close, continuation, ping, pong } = OPCODES;
const frames = await new LazyFrames().load();

/** A connection whose other end the test plays. Bytes are taken at once. */
class Connection extends Duplex {
  readonly written: Buffer[] = [];

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written.push(Buffer.from(chunk));
    done();
  }
}

/** A frame for the upstream. */
interface Sent {
  opcode: number;
  fin: boolean;
  rsv: number;
  mask: number;
  payload: string;
}

class Bench {
  readonly connection = new Connection();
  /** Messages, pings and the end, in short. */
  readonly events: string[] = [];
  readonly socket: UpstreamWebSocket;

  constructor(t: TestContext) {
    t.after(() => this.socket.destroy());
    this.socket = new UpstreamWebSocket(this.connection, {
      frames,
      waiting: new WaitingBytes(1e9),
      events: {
        onMessage: (bytes, isBinary) =>
          void this.events.push(`${isBinary ? "binary" : "text"} ${bytes.toString()}`.trim()),
        onPing: (bytes) => void this.events.push(`ping ${bytes.toString()}`.trim()),
        onEnd: (end) => void this.events.push(inShort(end)),
        onClosed() {},
      },
    });
    this.socket.begin(Buffer.alloc(0));
  }

  /** Gives bytes to the reader at once, as the connection does with a read. */
  receive(bytes: Buffer): void {
    this.connection.emit("data", bytes);
  }

  /** Returns the frames that were written. */
  sent(): Sent[] {
    const all: Sent[] = [];
    let bytes = Buffer.concat(this.connection.written);
    while (bytes.length > 0) {
      const [first = 0, second = 0] = bytes;
      assert.ok((second & 0x80) !== 0, "a client masks all frames");
      const short = second & 0x7f;
      const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
      const length =
        extra === 0
          ? short
          : extra === 2
            ? bytes.readUInt16BE(2)
            : Number(bytes.readBigUInt64BE(2));
      const mask = bytes.subarray(2 + extra, 6 + extra);
      const payload = bytes.subarray(6 + extra, 6 + extra + length);
      all.push({
        opcode: first & 0x0f,
        fin: (first & 0x80) !== 0,
        rsv: (first >> 4) & 7,
        mask: mask.readUInt32BE(),
        payload: Buffer.from(payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))).toString(
          "latin1",
        ),
      });
      bytes = bytes.subarray(6 + extra + length);
    }
    return all;
  }
}

function inShort(end: UpstreamEnd): string {
  return end.kind === "closed" ? `closed ${end.code} ${end.reason}`.trim() : end.kind;
}

/** Returns a frame of a server, which has no mask. */
function served(parts: FrameParts | Buffer): Buffer {
  return Buffer.isBuffer(parts) ? parts : frame({ mask: null, ...parts });
}

interface Row {
  section: string;
  name: string;
  send: readonly (FrameParts | Buffer)[];
  events: readonly string[];
  /** Code of the close frame that the upstream gets; `null`: it has none. Absent: no close frame. */
  code?: number | null;
}

const VALID: readonly Row[] = [
  ...[0, 1, 125, 126, 65_535, 65_536].map((length) => ({
    section: "5.2",
    name: `a text of ${length} bytes`,
    send: [{ payload: "x".repeat(length) }],
    events: [`text ${"x".repeat(length)}`.trim()],
  })),
  {
    section: "5.4",
    name: "fragments with a ping and a pong between them",
    send: [
      { fin: false, payload: "one " },
      { opcode: ping, payload: "p" },
      { opcode: continuation, fin: false, payload: "" },
      { opcode: pong, payload: "q" },
      { opcode: continuation, payload: "two" },
    ],
    events: ["ping p", "text one two"],
  },
  {
    section: "8.1",
    name: "a character that two fragments share",
    send: [
      { fin: false, payload: Uint8Array.of(0xe2, 0x82) },
      { opcode: continuation, payload: Uint8Array.of(0xac) },
    ],
    events: ["text €"],
  },
  {
    section: "5.6",
    name: "bytes that are no UTF-8, in a binary message",
    send: [{ opcode: binary, payload: Uint8Array.of(0xff) }],
    events: ["binary \uFFFD"],
  },
  {
    section: "5.5.3",
    name: "a pong without a ping",
    send: [{ opcode: pong, payload: "x" }],
    events: [],
  },
];

const CLOSES: readonly Row[] = [
  {
    section: "7.1.5",
    name: "a close frame without a code",
    send: [{ opcode: close }],
    events: ["closed 1005"],
    code: null,
  },
  ...[1000, 1001, 1003, 1007, 1011, 1012, 1014, 3000, 4999].map((code) => ({
    section: "7.4",
    name: `the close code ${code}`,
    send: [{ opcode: close, payload: closePayload(code, "bye") }],
    events: [`closed ${code} bye`],
    code,
  })),
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65_535].map((code) => ({
    section: "7.4",
    name: `the close code ${code}, which no frame may have`,
    send: [{ opcode: close, payload: closePayload(code) }],
    events: ["invalid"],
    code: 1002,
  })),
  {
    section: "5.5.1",
    name: "a close frame of one byte",
    send: [{ opcode: close, payload: "x" }],
    events: ["invalid"],
    code: 1002,
  },
  {
    section: "8.1",
    name: "a reason that is no UTF-8",
    send: [{ opcode: close, payload: closePayload(1000, Uint8Array.of(0xff)) }],
    events: ["invalid"],
    code: 1007,
  },
  {
    section: "5.5.1",
    name: "a message behind the close frame",
    send: [{ opcode: close, payload: closePayload(1000) }, { payload: "late" }],
    events: ["closed 1000"],
    code: 1000,
  },
];

/** Returns a case that breaks a rule. The message before it arrives, and the one behind it does not. */
function broken(
  section: string,
  name: string,
  send: readonly (FrameParts | Buffer)[],
  code = 1002,
): Row {
  return {
    section,
    name,
    send: [{ payload: "before" }, ...send, { payload: "behind" }],
    events: ["text before", code === 1009 ? "too-large" : "invalid"],
    code,
  };
}

const BROKEN: readonly Row[] = [
  ...(["text", "binary", "ping", "pong", "close"] as const).map((kind) =>
    broken("5.1", `${kind} with a mask`, [
      {
        opcode: OPCODES[kind],
        payload: kind === "close" ? closePayload(1000) : "x",
        mask: [1, 2, 3, 4],
      },
    ]),
  ),
  broken("5.1", "a mask of zeros", [{ payload: "x", mask: [0, 0, 0, 0] }]),
  ...[1, 2, 3, 4, 7].map((rsv) => broken("5.2", `reserved bits ${rsv}`, [{ rsv, payload: "x" }])),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
    broken("5.2", `the opcode ${opcode}`, [{ opcode, payload: "x" }]),
  ),
  ...[ping, pong, close].map((opcode) =>
    broken("5.5", `a control frame in fragments, opcode ${opcode}`, [{ opcode, fin: false }]),
  ),
  ...[ping, pong, close].map((opcode) =>
    broken("5.5", `a control frame of 126 bytes, opcode ${opcode}`, [
      { opcode, payload: "x".repeat(126) },
    ]),
  ),
  broken("5.4", "a continuation without a beginning", [{ opcode: continuation, payload: "x" }]),
  broken("5.4", "a message within the fragments of another", [
    { fin: false, payload: "one" },
    { payload: "two" },
  ]),
  {
    section: "5.4",
    name: "a continuation behind the last one",
    send: [
      { fin: false, payload: "one" },
      { opcode: continuation, payload: "" },
      { opcode: continuation, payload: "x" },
    ],
    events: ["text one", "invalid"],
    code: 1002,
  },
  broken("8.1", "text that is no UTF-8", [{ payload: Uint8Array.of(0x61, 0xff) }], 1007),
  broken(
    "8.1",
    "text that ends within a character",
    [{ payload: Uint8Array.of(0xe2, 0x82) }],
    1007,
  ),
  broken("8.1", "a surrogate in UTF-8", [{ payload: Uint8Array.of(0xed, 0xa0, 0x80) }], 1007),
  broken("5.2", "a length with its highest bit", [{ lengthBytes: 8, announces: 1n << 63n }], 1009),
  broken(
    "7.4.1",
    "a byte more than 16 MiB",
    [{ lengthBytes: 8, announces: (1n << 24n) + 1n }],
    1009,
  ),
  broken(
    "7.4.1",
    "fragments of more than 16 MiB",
    [
      { fin: false, payload: "one" },
      { opcode: continuation, lengthBytes: 8, announces: 1n << 24n },
    ],
    1009,
  ),
];

describe("the client of an upstream's WebSocket", () => {
  for (const row of [...VALID, ...CLOSES, ...BROKEN]) {
    it(`RFC 6455 ${row.section}: ${row.name}`, (t) => {
      const bytes = Buffer.concat(row.send.map(served));
      // In one read, and byte by byte where that is short.
      for (const size of bytes.length < 1_000 ? [bytes.length, 1] : [bytes.length]) {
        const bench = new Bench(t);
        for (let at = 0; at < bytes.length; at += size) {
          bench.receive(Buffer.from(bytes.subarray(at, at + size)));
        }
        assert.deepEqual(bench.events, row.events);
        const sent = bench.sent();
        if (row.code === undefined) {
          assert.deepEqual(sent, []);
          assert.equal(bench.connection.writableEnded, false);
        } else {
          assert.equal(sent.length, 1, "one close frame and nothing else");
          const [answer] = sent;
          assert.ok(answer !== undefined && answer.opcode === close && answer.fin);
          const payload = Buffer.from(answer.payload, "latin1");
          assert.equal(payload.length === 0 ? null : payload.readUInt16BE(), row.code);
          assert.equal(bench.connection.writableEnded, true);
        }
      }
    });
  }

  it("RFC 6455 5.3: masks every frame with a mask of its own", (t) => {
    const bench = new Bench(t);
    const { socket } = bench;
    for (let at = 0; at < 300; at++) socket.send(Buffer.from(`message ${at}`), at % 2 === 0);
    socket.ping(Buffer.from("ping"));
    socket.pong(Buffer.from("pong"));
    socket.close({ code: 1000, reason: "bye" });
    const sent = bench.sent();
    assert.deepEqual(
      sent.map(({ payload }) => payload),
      [
        ...Array.from({ length: 300 }, (_, at) => `message ${at}`),
        "ping",
        "pong",
        closePayload(1000, "bye").toString("latin1"),
      ],
    );
    assert.ok(sent.every(({ fin, rsv, mask }) => fin && rsv === 0 && mask !== 0));
    // Random masks of 32 bits: three equal ones are out of reach.
    assert.ok(new Set(sent.map(({ mask }) => mask)).size > sent.length - 2);
  });

  it("RFC 6455 7.1.1: sends nothing behind its close frame", (t) => {
    const bench = new Bench(t);
    bench.socket.close({ code: 1001, reason: "" });
    bench.socket.send(Buffer.from("late"), false);
    bench.socket.ping(Buffer.from("late"));
    bench.receive(served({ opcode: close, payload: closePayload(1001) }));
    assert.deepEqual(
      bench.sent().map(({ opcode }) => opcode),
      [close],
    );
    assert.deepEqual(bench.events, []);
  });
});

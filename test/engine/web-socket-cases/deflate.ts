import { constants, deflateRawSync } from "node:zlib";
import { closePayload, frame, OPCODES } from "../../helpers/web-socket-frames/frames.ts";
import { withLines } from "./handshakes.ts";
import { broken } from "./framing.ts";
import { echoes, fails, type FrameRow, type HandshakeRow } from "./row.ts";

/** Message limit of the listener of these cases. */
export const DEFLATE_LIMIT_BYTES = 100_000;

const RSV1 = 4;
const { binary, continuation, ping } = OPCODES;
const CUTS = "the library cuts the connection without a close frame";
const ANSWER = {
  node: "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
  uws: "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
};

/** Returns the compressed form of a message (RFC 7692 section 7.2.1). */
export function deflated(text: string | Uint8Array, options = {}): Buffer {
  const bytes = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH, ...options });
  return bytes.subarray(0, -4);
}

/** Offers that the server accepts, and its answers where they differ between engines (RFC 7692 sections 5 and 7.1). */
const ACCEPTED: readonly HandshakeRow[] = (
  [
    ["5.1", "permessage-deflate"],
    ["7.1.1.1", "permessage-deflate; server_no_context_takeover"],
    ["7.1.1.2", "permessage-deflate; client_no_context_takeover"],
    ["7.1.2.2", "permessage-deflate; client_max_window_bits"],
    ["7.1.2.2", "permessage-deflate; client_max_window_bits=8"],
    ["5.1", "permessage-deflate; unknown=1, permessage-deflate"],
    ["5.1", "x-webkit-deflate-frame, permessage-deflate"],
  ] as const
).map(([section, offer]) => ({
  section: `RFC 7692 ${section}`,
  name: `accepts ${offer}`,
  head: withLines({}, `Sec-WebSocket-Extensions: ${offer}`),
  status: 101,
  fields: { "sec-websocket-extensions": ANSWER.node },
  uws: { status: 101, fields: { "sec-websocket-extensions": ANSWER.uws }, why: "another order" },
}));

/** Offers that limit the window of the server. */
const WINDOWS: readonly HandshakeRow[] = (["9", "10", "15", '"12"'] as const).map((bits) => ({
  section: "RFC 7692 7.1.2.1",
  name: `keeps to a window of ${bits} bits`,
  head: withLines(
    {},
    `Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=${bits}`,
  ),
  status: 101,
  fields: {
    "sec-websocket-extensions": `${ANSWER.node}; server_max_window_bits=${bits.replaceAll('"', "")}`,
  },
  uws: {
    status: 101,
    fields: { "sec-websocket-extensions": null },
    why: "the shared compressor has a window of 15 bits",
  },
}));

const DECLINED: readonly HandshakeRow[] = (
  [
    ["7.1.2.1", "permessage-deflate; server_max_window_bits=8"],
    ["7.1.2.1", "permessage-deflate; server_max_window_bits=16"],
    ["7.1.2.1", "permessage-deflate; server_max_window_bits"],
    ["7.1.2.2", "permessage-deflate; client_max_window_bits=7"],
    ["7.1", "permessage-deflate; unknown=1"],
    ["7.1", "permessage-deflate; client_max_window_bits; client_max_window_bits"],
    ["7.1.1.1", "permessage-deflate; server_no_context_takeover=true"],
    ["5", "permessage-deflate;;"],
    ["5", "x-webkit-deflate-frame"],
  ] as const
).map(([section, offer]) => ({
  section: `RFC 7692 ${section}`,
  name: `declines ${offer} with compression`,
  head: withLines({}, `Sec-WebSocket-Extensions: ${offer}`),
  status: 101,
  fields: { "sec-websocket-extensions": null },
}));

export const DEFLATE_HANDSHAKES: readonly HandshakeRow[] = [...ACCEPTED, ...WINDOWS, ...DECLINED];

/** Examples of RFC 7692 section 7.2.3, with the frames of a client: each is the text "Hello". */
const EXAMPLES: readonly FrameRow[] = (
  [
    ["7.2.3.1", "one block with fixed codes", [[0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00]]],
    [
      "7.2.3.1",
      "two fragments",
      [
        [0xf2, 0x48, 0xcd],
        [0xc9, 0xc9, 0x07, 0x00],
      ],
    ],
    [
      "7.2.3.3",
      "a block without compression",
      [[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]],
    ],
    [
      "7.2.3.5",
      "two blocks",
      [[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00]],
    ],
  ] as const
).map(([section, name, fragments]) => ({
  section: `RFC 7692 ${section}`,
  name,
  send: fragments.map((bytes, at) => ({
    opcode: at === 0 ? OPCODES.text : continuation,
    rsv: at === 0 ? RSV1 : 0,
    fin: at === fragments.length - 1,
    payload: Uint8Array.from(bytes),
  })),
  outcome: echoes("text Hello"),
}));

const LAST_BLOCK: FrameRow = {
  section: "RFC 7692 7.2.3.4",
  name: "a last block",
  send: [{ rsv: RSV1, payload: Uint8Array.of(0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00) }],
  outcome: echoes("text Hello"),
  uws: { frames: [], end: 1009, why: "the library takes the end of the last block for an error" },
};

const LARGE = JSON.stringify(Array.from({ length: 700 }, (_, id) => ({ id, name: `user ${id}` })));
const LIMIT = "x".repeat(DEFLATE_LIMIT_BYTES);

/** Messages that are compressed, or not, and frames between them. */
const MESSAGES: readonly FrameRow[] = [
  {
    section: "RFC 7692 7.2.3.6",
    name: "an empty message",
    send: [{ rsv: RSV1, payload: Uint8Array.of(0) }],
    outcome: echoes("text"),
  },
  {
    section: "RFC 7692 6",
    name: "a message that is not compressed, between two that are",
    send: [
      { rsv: RSV1, payload: deflated("one") },
      { payload: "two" },
      { rsv: RSV1, opcode: binary, payload: deflated("three") },
    ],
    outcome: echoes("text one", "text two", "binary three"),
  },
  {
    section: "RFC 7692 7.2.1",
    name: "a large message comes back compressed",
    send: [{ rsv: RSV1, payload: deflated(LARGE) }],
    outcome: echoes(`deflated text ${LARGE}`),
  },
  {
    section: "RFC 7692 7.2.1",
    name: "the server compresses also the answer to a plain message",
    send: [{ opcode: binary, payload: LARGE }],
    outcome: echoes(`deflated binary ${LARGE}`),
  },
  {
    section: "RFC 7692 7.2.1",
    name: "messages of less than 1 KiB leave plain",
    send: [{ rsv: RSV1, payload: deflated("y".repeat(1023)) }],
    outcome: echoes(`text ${"y".repeat(1023)}`),
  },
  {
    section: "RFC 7692 6.2",
    name: "fragments of any size, and a ping between them",
    send: [
      { rsv: RSV1, fin: false, payload: deflated(LARGE).subarray(0, 1) },
      { opcode: continuation, fin: false, payload: "" },
      { opcode: ping, payload: "between" },
      { opcode: continuation, fin: false, payload: deflated(LARGE).subarray(1, 100) },
      { opcode: continuation, fin: true, payload: deflated(LARGE).subarray(100) },
    ],
    outcome: echoes("pong between", `deflated text ${LARGE}`),
  },
  {
    section: "RFC 7692 6.2",
    name: "reads of single bytes",
    send: [{ rsv: RSV1, payload: deflated("z".repeat(300)) }],
    chop: 1,
    outcome: echoes(`text ${"z".repeat(300)}`),
  },
  {
    section: "RFC 7692 7.2.1",
    name: "2,000 compressed messages in one write",
    send: Array.from({ length: 2_000 }, (_, at) => ({ rsv: RSV1, payload: deflated(`m${at}`) })),
    outcome: echoes(...Array.from({ length: 2_000 }, (_, at) => `text m${at}`)),
  },
  {
    section: "RFC 7692 7.1.2.2",
    name: "a client that compresses with a small window",
    send: [{ rsv: RSV1, payload: deflated(LARGE, { windowBits: 9 }) }],
    outcome: echoes(`deflated text ${LARGE}`),
  },
  {
    section: "RFC 7692 8",
    name: "a message of the limit, which was 1 in 700 bytes",
    send: [{ rsv: RSV1, payload: deflated(LIMIT) }],
    outcome: echoes(`deflated text ${LIMIT}`),
  },
];

/** Bytes that do not shrink: their compressed form is larger than the limit. */
const RANDOM = Buffer.alloc(DEFLATE_LIMIT_BYTES);
for (let at = 0, state = 1; at < RANDOM.length; at++) {
  state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
  RANDOM[at] = state >>> 24;
}

/** Messages that break a rule, or the limit (RFC 7692 sections 6, 7.2.2 and 8). */
const BROKEN: readonly FrameRow[] = [
  broken("RFC 7692 6", "RSV1 in a continuation of a compressed message", {
    send: [
      { rsv: RSV1, fin: false, payload: deflated("hello").subarray(0, 2) },
      { opcode: continuation, rsv: RSV1, payload: deflated("hello").subarray(2) },
    ],
    code: 1002,
  }),
  {
    ...broken("RFC 7692 6", "RSV1 in a continuation of a plain message", {
      send: [
        { fin: false, payload: "hel" },
        { opcode: continuation, rsv: RSV1, payload: "lo" },
      ],
      code: 1002,
    }),
    uws: { frames: [], end: 1009, why: "the library tries to inflate the message" },
  },
  ...(["ping", "pong", "close"] as const).map((kind) => ({
    ...broken("RFC 7692 6", `RSV1 in a ${kind}`, {
      send: [
        { opcode: OPCODES[kind], rsv: RSV1, payload: kind === "close" ? closePayload(1000) : "x" },
      ],
      code: 1002,
    }),
    uws: { isOpen: true as const, why: "the library does not look at RSV1 of control frames" },
  })),
  broken("RFC 7692 6", "RSV2", { send: [{ rsv: 2, payload: "hello" }], code: 1002 }),
  broken("RFC 7692 6", "RSV1 and RSV3", {
    send: [{ rsv: 5, payload: deflated("hello") }],
    code: 1002,
  }),
  {
    ...broken("RFC 7692 7.2.2", "bytes that are no compressed message", {
      send: [{ rsv: RSV1, payload: Uint8Array.of(0xff, 0xff, 0xff) }],
      code: 1007,
    }),
    uws: { frames: [], end: 1009, why: CUTS },
  },
  broken("RFC 7692 7.2.2", "text that is no UTF-8 once it is inflated", {
    send: [{ rsv: RSV1, payload: deflated(Uint8Array.of(0x61, 0xff, 0x61)) }],
    code: 1007,
  }),
  {
    section: "RFC 7692 8",
    name: "one byte more than the limit",
    send: [{ rsv: RSV1, payload: deflated(`${LIMIT}x`) }],
    outcome: fails(1009),
  },
  broken("RFC 7692 8", "100 MB in 100 KB", {
    send: [
      {
        rsv: RSV1,
        opcode: binary,
        payload: deflated(new Uint8Array(100_000_000)).subarray(0, 97_000),
      },
    ],
    code: 1009,
  }),
  broken("RFC 7692 8", "10 MB in fragments", {
    send: [0, 1, 2].map((at) => ({
      opcode: at === 0 ? binary : continuation,
      rsv: at === 0 ? RSV1 : 0,
      fin: at === 2,
      payload: deflated(new Uint8Array(10_000_000)).subarray(
        at * 3_000,
        at === 2 ? undefined : (at + 1) * 3_000,
      ),
    })),
    code: 1009,
  }),
  broken("RFC 7692 8", "a compressed message that is itself larger than the limit", {
    send: [frame({ opcode: binary, rsv: RSV1, lengthBytes: 8, announces: 1n << 40n })],
    code: 1009,
  }),
];

/** The Node engine answers plain what does not shrink; the library does not look. */
const INCOMPRESSIBLE: FrameRow = {
  section: "RFC 7692 8",
  name: "a message of the limit, which grew",
  send: [{ rsv: RSV1, opcode: binary, payload: deflated(RANDOM) }],
  outcome: echoes(`binary ${RANDOM.toString()}`),
  uws: {
    frames: [`deflated binary ${RANDOM.toString()}`, "close 1000"],
    why: "the library compresses bytes that grow",
  },
};

/** All cases of frames on a listener that compresses. */
export const DEFLATE_ROWS: readonly FrameRow[] = [
  ...EXAMPLES,
  LAST_BLOCK,
  ...MESSAGES,
  INCOMPRESSIBLE,
  ...BROKEN,
];

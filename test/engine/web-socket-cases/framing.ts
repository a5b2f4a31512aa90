import {
  closePayload,
  frame,
  type FrameParts,
  OPCODES,
} from "../../helpers/web-socket-frames/frames.ts";
import { echoes, fails, type FrameRow } from "./row.ts";

const { binary, close, continuation, ping, pong } = OPCODES;
const LENGTHS = [0, 1, 125, 126, 127, 65_535, 65_536, 100_000];
const CUTS = "the library cuts the connection without a close frame";

/** Returns a case that breaks a rule. uWebSockets.js tells its responder the code, and not the client. */
export function broken(
  section: string,
  name: string,
  { send, code, chop }: { send: readonly (FrameParts | Buffer)[]; code: number; chop?: number },
): FrameRow {
  const uws = { frames: [], why: CUTS };
  return {
    section,
    name,
    send,
    outcome: fails(code),
    uws,
    ...(chop === undefined ? {} : { chop }),
  };
}

/** Lengths and masks (RFC 6455 sections 5.2 and 5.3). */
const LENGTH_ROWS: readonly FrameRow[] = [
  ...LENGTHS.flatMap((length) =>
    (["text", "binary"] as const).map((kind) => ({
      section: "5.2",
      name: `${kind} of ${length} bytes`,
      send: [{ opcode: OPCODES[kind], payload: "x".repeat(length) }],
      outcome: echoes(`${kind} ${"x".repeat(length)}`.trim()),
    })),
  ),
  ...([2, 8] as const).map((lengthBytes) => ({
    // The sender breaks a rule, and section 5.2 does not ask receivers to check it: both libraries read the message.
    section: "5.2",
    name: `a length of 5 in ${lengthBytes} bytes`,
    send: [{ payload: "hello", lengthBytes }],
    outcome: echoes("text hello"),
  })),
  {
    section: "5.3",
    name: "a mask of zeros",
    send: [{ payload: "hello", mask: [0, 0, 0, 0] }],
    outcome: echoes("text hello"),
  },
  ...(
    [
      ["text", { payload: "hello" }],
      ["binary", { opcode: binary, payload: "hello" }],
      ["ping", { opcode: ping, payload: "hello" }],
    ] as const
  ).map(
    ([name, parts]) =>
      ({
        ...broken("5.1", `${name} without a mask`, {
          send: [{ ...parts, mask: null }],
          code: 1002,
        }),
        uws: {
          isOpen: true,
          why: "the library takes the first four bytes of the message for the mask",
        },
      }) as const,
  ),
  broken("5.2", "a length with its highest bit", {
    send: [{ payload: "hello", lengthBytes: 8, announces: 1n << 63n }],
    code: 1009,
  }),
  broken("7.4.1", "a frame of 1 TiB", {
    send: [{ payload: "hello", lengthBytes: 8, announces: 1n << 40n }],
    code: 1009,
  }),
  broken("7.4.1", "a second fragment of 1 TiB", {
    send: [
      { payload: "hello", fin: false },
      { opcode: continuation, payload: "x", lengthBytes: 8, announces: 1n << 40n },
    ],
    code: 1009,
  }),
];

/** Reserved bits and opcodes (RFC 6455 section 5.2, RFC 7692 section 6). */
const RESERVED_ROWS: readonly FrameRow[] = [
  ...[1, 2, 3, 4, 5, 6, 7].map((rsv) =>
    broken(rsv === 4 ? "RFC 7692 6" : "5.2", `text with the reserved bits ${rsv}`, {
      send: [{ payload: "hello", rsv }],
      code: 1002,
    }),
  ),
  ...(
    [
      ["binary", { opcode: binary }],
      ["ping", { opcode: ping }],
      ["pong", { opcode: pong }],
      ["close", { opcode: close }],
    ] as const
  ).map(([name, parts]) =>
    broken("RFC 7692 6", `${name} with RSV1, without the extension`, {
      send: [{ ...parts, rsv: 4 }],
      code: 1002,
    }),
  ),
  broken("RFC 7692 6.1", "RSV1 in a continuation", {
    send: [
      { payload: "a", fin: false },
      { opcode: continuation, payload: "b", rsv: 4 },
    ],
    code: 1002,
  }),
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map((opcode) =>
    broken("5.2", `opcode ${opcode}`, { send: [{ opcode }], code: 1002 }),
  ),
  {
    section: "5.2",
    name: "opcode 3 behind a message",
    send: [{ payload: "hello" }, { opcode: 3 }],
    outcome: fails(1002, "text hello"),
    uws: { frames: [], why: `${CUTS}, and loses the answer to the message before` },
  },
];

/** Control frames (RFC 6455 section 5.5). */
const CONTROL_ROWS: readonly FrameRow[] = [
  ...["", "hello", "\u0000ü€", "x".repeat(125)].map((payload) => ({
    section: "5.5.2",
    name: `a ping of ${Buffer.byteLength(payload)} bytes`,
    send: [{ opcode: ping, payload }],
    outcome: echoes(`pong ${payload}`.trim()),
  })),
  {
    section: "5.5.2",
    name: "ten pings",
    send: Array.from({ length: 10 }, (_, at) => ({ opcode: ping, payload: String(at) })),
    outcome: echoes(...Array.from({ length: 10 }, (_, at) => `pong ${at}`)),
  },
  ...["", "hello"].map((payload) => ({
    section: "5.5.3",
    name: `a pong of ${payload.length} bytes that answers nothing`,
    send: [{ opcode: pong, payload }, { payload: "on" }],
    outcome: echoes("text on"),
  })),
  ...(["ping", "pong", "close"] as const).flatMap((kind) => [
    broken("5.5", `${kind} of 126 bytes`, {
      send: [
        {
          opcode: OPCODES[kind],
          payload: Buffer.concat([closePayload(1000), Buffer.alloc(124, "x")]),
        },
      ],
      code: 1002,
    }),
    broken("5.5", `${kind} in fragments`, {
      send: [{ opcode: OPCODES[kind], fin: false }],
      code: 1002,
    }),
  ]),
  {
    section: "5.5",
    name: "a ping byte by byte",
    send: [{ opcode: ping, payload: "hello" }],
    chop: 1,
    outcome: echoes("pong hello"),
  },
];

/** Fragments (RFC 6455 section 5.4). */
const FRAGMENT_ROWS: readonly FrameRow[] = [
  ...(["text", "binary"] as const).flatMap((kind) => [
    {
      section: "5.4",
      name: `${kind} in two fragments`,
      send: [
        { opcode: OPCODES[kind], payload: "one ", fin: false },
        { opcode: continuation, payload: "two" },
      ],
      outcome: echoes(`${kind} one two`),
    },
    {
      section: "5.4",
      name: `${kind} in three fragments that are empty`,
      send: [
        { opcode: OPCODES[kind], fin: false },
        { opcode: continuation, fin: false },
        { opcode: continuation },
      ],
      outcome: echoes(kind),
    },
    {
      section: "5.4",
      name: `${kind} in 100 fragments of a byte`,
      send: [
        { opcode: OPCODES[kind], payload: "x", fin: false },
        ...Array.from({ length: 98 }, () => ({ opcode: continuation, payload: "x", fin: false })),
        { opcode: continuation, payload: "x" },
      ],
      outcome: echoes(`${kind} ${"x".repeat(100)}`),
    },
  ]),
  {
    section: "5.4",
    name: "a ping and a pong between fragments",
    send: [
      { payload: "one ", fin: false },
      { opcode: ping, payload: "p" },
      { opcode: pong, payload: "q" },
      { opcode: continuation, payload: "two" },
    ],
    outcome: echoes("pong p", "text one two"),
  },
  {
    section: "5.4",
    name: "fragments byte by byte",
    send: [
      { payload: "one ", fin: false },
      { opcode: ping, payload: "p" },
      { opcode: continuation, payload: "two" },
    ],
    chop: 1,
    outcome: echoes("pong p", "text one two"),
  },
  {
    section: "5.5.1",
    name: "a close frame between fragments",
    send: [
      { payload: "one", fin: false },
      { opcode: close, payload: closePayload(1000) },
    ],
    outcome: echoes(),
  },
  broken("5.4", "a continuation without a start", {
    send: [{ opcode: continuation, payload: "x" }],
    code: 1002,
  }),
  broken("5.4", "a continuation that does not end, without a start", {
    send: [{ opcode: continuation, payload: "x", fin: false }],
    code: 1002,
  }),
  broken("5.4", "text within the fragments of another message", {
    send: [{ payload: "one", fin: false }, { payload: "two" }],
    code: 1002,
  }),
  {
    section: "5.4",
    name: "binary within the fragments of another message",
    send: [
      { payload: "one", fin: false },
      { opcode: binary, payload: "two" },
    ],
    outcome: fails(1002),
    uws: { ...echoes("binary onetwo"), why: "the library takes the frame for a continuation" },
  },
  {
    section: "5.4",
    name: "a continuation behind a whole message",
    send: [{ payload: "one" }, { opcode: continuation, payload: "two" }],
    outcome: fails(1002, "text one"),
    uws: { frames: [], why: `${CUTS}, and loses the answer to the message before` },
  },
  {
    section: "5.2",
    name: "several messages in one packet",
    send: [{ payload: "one" }, { opcode: binary, payload: "two" }, { payload: "three" }],
    outcome: echoes("text one", "binary two", "text three"),
  },
  ...[1, 2, 3, 7].map((chop) => ({
    section: "5.2",
    name: `messages in packets of ${chop} bytes`,
    send: [{ payload: "x".repeat(130) }, frame({ payload: "hello", lengthBytes: 8 })],
    chop,
    outcome: echoes(`text ${"x".repeat(130)}`, "text hello"),
  })),
];

/** All cases of frames but for texts and ends. */
export const FRAMING: readonly FrameRow[] = [
  ...LENGTH_ROWS,
  ...RESERVED_ROWS,
  ...CONTROL_ROWS,
  ...FRAGMENT_ROWS,
];

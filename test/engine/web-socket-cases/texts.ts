import { OPCODES } from "../../helpers/web-socket-frames/frames.ts";
import { broken } from "./framing.ts";
import { echoes, type FrameRow } from "./row.ts";

const { binary, continuation } = OPCODES;

const VALID: readonly (readonly [name: string, text: string])[] = [
  ["Greek", "κόσμε"],
  ["U+0000", "\u0000"],
  ["U+007F", "\u007f"],
  ["U+0080", "\u0080"],
  ["U+07FF", "\u07ff"],
  ["U+0800", "\u0800"],
  ["U+D7FF", "\ud7ff"],
  ["U+E000", "\ue000"],
  ["U+FFFE, which is no character", "\ufffe"],
  ["U+FFFF", "\uffff"],
  ["U+10000", "\u{10000}"],
  ["U+10FFFF", "\u{10ffff}"],
  ["a byte order mark", "\ufeffx"],
];

const INVALID: readonly (readonly [name: string, bytes: readonly number[]])[] = [
  ["a continuation byte alone", [0x80]],
  ["the last continuation byte alone", [0xbf]],
  ["0xfe", [0xfe]],
  ["0xff", [0xff]],
  ["a slash in two bytes", [0xc0, 0xaf]],
  ["U+007F in two bytes", [0xc1, 0xbf]],
  ["U+0000 in two bytes", [0xc0, 0x80]],
  ["a slash in three bytes", [0xe0, 0x80, 0xaf]],
  ["U+07FF in three bytes", [0xe0, 0x9f, 0xbf]],
  ["a slash in four bytes", [0xf0, 0x80, 0x80, 0xaf]],
  ["a form of five bytes", [0xf8, 0x88, 0x80, 0x80, 0x80]],
  ["the first surrogate", [0xed, 0xa0, 0x80]],
  ["the last surrogate", [0xed, 0xbf, 0xbf]],
  ["a pair of surrogates", [0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]],
  ["a code point above U+10FFFF", [0xf4, 0x90, 0x80, 0x80]],
  ["the start of two bytes", [0xc2]],
  ["the start of three bytes", [0xe2, 0x82]],
  ["the start of four bytes", [0xf0, 0x9f, 0x98]],
  ["a start that a letter follows", [0xc2, 0x61]],
  ["a wrong byte behind much text", [...Buffer.from("x".repeat(1000)), 0xff]],
  ["a wrong byte before much text", [0xff, ...Buffer.from("x".repeat(1000))]],
];

const FACE = Buffer.from("😀");

/** Text (RFC 6455 sections 5.6 and 8.1). */
export const TEXTS: readonly FrameRow[] = [
  ...VALID.map(([name, text]) => ({
    section: "5.6",
    name: `text with ${name}`,
    send: [{ payload: text }],
    outcome: echoes(`text ${text}`),
  })),
  ...[1, 2, 3].map((at) => ({
    section: "5.6",
    name: `a character that fragments split after ${at} bytes`,
    send: [
      { payload: FACE.subarray(0, at), fin: false },
      { opcode: continuation, payload: FACE.subarray(at) },
    ],
    outcome: echoes("text 😀"),
  })),
  {
    section: "5.6",
    name: "characters byte by byte",
    send: [{ payload: "ü€😀" }],
    chop: 1,
    outcome: echoes("text ü€😀"),
  },
  ...INVALID.map(([name, bytes]) =>
    broken("8.1", `text with ${name}`, { send: [{ payload: Uint8Array.from(bytes) }], code: 1007 }),
  ),
  broken("8.1", "a wrong byte in the first fragment", {
    send: [
      { payload: Uint8Array.of(0xff), fin: false },
      { opcode: continuation, payload: "x" },
    ],
    code: 1007,
  }),
  broken("8.1", "a wrong byte in the last fragment", {
    send: [
      { payload: "x", fin: false },
      { opcode: continuation, payload: Uint8Array.of(0xff) },
    ],
    code: 1007,
  }),
  broken("8.1", "a character that the message leaves unfinished", {
    send: [{ payload: FACE.subarray(0, 2), fin: false }, { opcode: continuation }],
    code: 1007,
  }),
  {
    section: "5.6",
    name: "any bytes in a binary message",
    send: [{ opcode: binary, payload: Uint8Array.of(0xff, 0x80, 0) }],
    outcome: echoes(`binary ${String(Buffer.of(0xff, 0x80, 0))}`),
  },
];

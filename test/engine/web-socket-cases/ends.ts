import { closePayload, OPCODES } from "../../helpers/web-socket-frames/frames.ts";
import { fails, type FrameRow, type Outcome } from "./row.ts";

const { close, ping } = OPCODES;

const KNOWN = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 4000, 4999];
const UNKNOWN_TO_UWS = [1012, 1013, 1014, 3000, 3999];
const INVALID = [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535];

/** The outcome of uWebSockets.js for a close frame with a payload that it does not take. */
const UNKNOWN: Outcome = { frames: ["close"], end: 1005 };

/** Ends (RFC 6455 sections 5.5.1, 7.1 and 7.4). */
export const ENDS: readonly FrameRow[] = [
  {
    section: "5.5.1",
    name: "a close frame without a code",
    send: [{ opcode: close }],
    outcome: { frames: ["close"], end: 1005 },
  },
  ...KNOWN.map((code) => ({
    section: "7.4.1",
    name: `close code ${code}`,
    send: [{ opcode: close, payload: closePayload(code) }],
    outcome: fails(code),
  })),
  ...UNKNOWN_TO_UWS.map((code) => ({
    section: "7.4.2",
    name: `close code ${code}`,
    send: [{ opcode: close, payload: closePayload(code) }],
    outcome: fails(code),
    uws: { ...UNKNOWN, why: "the library does not know the code" },
  })),
  ...INVALID.map((code) => ({
    section: "7.4",
    name: `close code ${code}, which no frame may have`,
    send: [{ opcode: close, payload: closePayload(code) }],
    outcome: fails(1002),
    uws: { ...UNKNOWN, why: "the library takes an invalid payload for an empty one" },
  })),
  ...["bye", "ü€😀", "x".repeat(123)].map((reason) => ({
    section: "5.5.1",
    name: `a reason of ${Buffer.byteLength(reason)} bytes`,
    send: [{ opcode: close, payload: closePayload(1000, reason) }],
    outcome: { frames: [`close 1000 ${reason}`], end: 1000 },
  })),
  {
    section: "5.5.1",
    name: "a payload of one byte",
    send: [{ opcode: close, payload: "x" }],
    outcome: fails(1002),
    uws: { ...UNKNOWN, why: "the library takes an invalid payload for an empty one" },
  },
  {
    section: "8.1",
    name: "a reason that is not UTF-8",
    send: [{ opcode: close, payload: closePayload(1000, Uint8Array.of(0xff)) }],
    outcome: fails(1007),
    uws: { ...UNKNOWN, why: "the library takes an invalid payload for an empty one" },
  },
  {
    section: "5.5.1",
    name: "a message behind the close frame",
    send: [{ opcode: close, payload: closePayload(1000) }, { payload: "late" }],
    outcome: fails(1000),
  },
  {
    section: "5.5.1",
    name: "a ping behind the close frame",
    send: [{ opcode: close, payload: closePayload(1000) }, { opcode: ping }],
    outcome: fails(1000),
  },
  {
    section: "5.5.1",
    name: "two close frames",
    send: [
      { opcode: close, payload: closePayload(4000) },
      { opcode: close, payload: closePayload(4001) },
    ],
    outcome: fails(4000),
  },
  {
    section: "7.1.1",
    name: "a close frame byte by byte",
    send: [{ opcode: close, payload: closePayload(4000, "bye") }],
    chop: 1,
    outcome: { frames: ["close 4000 bye"], end: 4000 },
  },
];

import { CLOSE_CODES, type WebSocketEnd } from "../../http/web-socket.ts";

/** Texts with which the library explains why it ended a WebSocket. It gives the code 1006 for all of them. */
const REASONS: ReadonlyMap<string, number> = new Map([
  ["Received too big message", CLOSE_CODES.messageTooBig],
  // It does not tell a damaged message from one that is too large.
  ["Received too big message, or other inflation error", CLOSE_CODES.messageTooBig],
  ["Received invalid UTF-8", CLOSE_CODES.invalidText],
  ["Received invalid WebSocket frame", CLOSE_CODES.protocolError],
  // The client sent a close frame with a code that the library does not know, such as 3000.
  ["Received invalid close payload", CLOSE_CODES.none],
]);

/** Returns the end of a WebSocket from the code and the text that the library gives. */
export function toEnd(code: number, text: string): WebSocketEnd {
  if (code !== CLOSE_CODES.abnormal) return { code, reason: text };
  return { code: REASONS.get(text) ?? code, reason: "" };
}

import { HANDSHAKE } from "../../helpers/web-socket-frames/frame-client.ts";
import type { HandshakeRow } from "./row.ts";

/** Returns the valid head with other lines; `null` leaves a line out. */
export function withLines(
  changes: Readonly<Record<string, string | null>>,
  ...more: string[]
): readonly string[] {
  const lines = HANDSHAKE.flatMap((line) => {
    const name = Object.keys(changes).find((start) => line.startsWith(start));
    const changed = name === undefined ? line : (changes[name] ?? null);
    return changed === null ? [] : [changed];
  });
  return [...lines, ...more];
}

const KEY = "Sec-WebSocket-Key: ";
const VERSION = "Sec-WebSocket-Version: ";

/** Requests (RFC 6455 sections 4.1, 4.2 and 4.4). */
const REQUESTS: readonly HandshakeRow[] = [
  {
    section: "1.3",
    name: "the example of the RFC",
    head: HANDSHAKE,
    status: 101,
    fields: {
      upgrade: "websocket",
      connection: "Upgrade",
      "sec-websocket-accept": "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
      "sec-websocket-protocol": null,
      "sec-websocket-extensions": null,
    },
  },
  ...(
    [
      ["Upgrade", "Upgrade: WebSocket", "the token in another case"],
      ["Upgrade", "upgrade:websocket", "a name in lower case, without a space"],
      ["Upgrade", "Upgrade: h2c, websocket", "a list with the token"],
      ["Connection", "Connection: keep-alive, Upgrade", "a list of connection options"],
      ["Connection", "Connection: UPGRADE", "the option in another case"],
      ["Connection", "Connection: keep-alive\r\nConnection: Upgrade", "two Connection fields"],
      ["Host", "Host: localhost\r\nOrigin: http://other.example", "an Origin for the responder"],
      ["Host", "Host: localhost\r\nCookie: a=b; c=d", "cookies"],
      ["GET", "GET /path?a=b HTTP/1.1", "a target with a query"],
    ] as const
  ).map(([start, line, name]) => ({
    section: "4.2.1",
    name,
    head: withLines({ [start]: line }),
    status: 101,
  })),
  ...(
    [
      ["Upgrade", null, "no Upgrade"],
      ["Upgrade", "Upgrade: h2c", "another protocol"],
      ["Upgrade", "Upgrade: websockets", "a longer token"],
      ["Connection", null, "no Connection"],
      ["Connection", "Connection: keep-alive", "a Connection without the option"],
      ["Connection", "Connection: close, Upgrade", "a connection that ends with the answer"],
      ["Sec-WebSocket-Key", null, "no key"],
      ["Sec-WebSocket-Key", KEY, "an empty key"],
      ["Sec-WebSocket-Key", `${KEY}dGhlIHNhbXBsZQ==`, "a key of 10 bytes"],
      ["Sec-WebSocket-Key", `${KEY}dGhlIHNhbXBsZSBub25jZSBsb25nZXI=`, "a key of 23 bytes"],
      ["Sec-WebSocket-Key", `${KEY}dGhlIHNhbXBsZSBub25jZ$==`, "a key that is not base64"],
      ["Sec-WebSocket-Version", null, "no version"],
      ["Sec-WebSocket-Version", `${VERSION}8`, "version 8"],
      ["Sec-WebSocket-Version", `${VERSION}14`, "version 14"],
      ["Sec-WebSocket-Version", `${VERSION}x`, "a version that is no number"],
      ["GET", "HEAD / HTTP/1.1", "HEAD"],
      ["GET", "PUT / HTTP/1.1", "PUT"],
      ["Host", "Host: localhost\r\nContent-Length: 1", "a body that is announced"],
    ] as const
  ).map(([start, line, name]) => ({
    section: name.includes("version") ? "4.4" : "4.2.1",
    name,
    head: withLines({ [start]: line }),
    status: 426,
  })),
  {
    section: "4.1",
    name: "no Host",
    head: withLines({ Host: null }),
    status: 400,
  },
  {
    section: "RFC 9110 7.8",
    name: "HTTP/1.0, in which Upgrade has no meaning",
    head: withLines({ GET: "GET / HTTP/1.0" }),
    status: 426,
    uws: { status: 505, why: "the library refuses HTTP/1.0" },
  },
];

/** Subprotocols: the responder takes `chat` where it is offered (RFC 6455 sections 4.2.2 and 11.3.4). */
const SUBPROTOCOLS: readonly HandshakeRow[] = (
  [
    [["chat"], "chat"],
    [["superchat, chat"], "chat"],
    [["superchat,chat,other"], "chat"],
    [["Chat"], null],
    [["superchat"], null],
    [[""], null],
  ] as const
).map(([offers, chosen]) => ({
  section: "11.3.4",
  name: `the subprotocols ${offers.map((offer) => `"${offer}"`).join(" and ")}`,
  head: withLines({}, ...offers.map((offer) => `Sec-WebSocket-Protocol: ${offer}`)),
  status: 101,
  fields: { "sec-websocket-protocol": chosen },
}));

/** Extensions: a responder that does not ask for compression declines all (RFC 6455 section 9.1, RFC 7692 section 5). */
const EXTENSIONS: readonly HandshakeRow[] = (
  [
    ["5", "permessage-deflate"],
    ["7.1.1.1", "permessage-deflate; server_no_context_takeover"],
    ["7.1.1.2", "permessage-deflate; client_no_context_takeover"],
    ["7.1.2.1", "permessage-deflate; server_max_window_bits=10"],
    ["7.1.2.1", "permessage-deflate; server_max_window_bits=16"],
    ["7.1.2.1", 'permessage-deflate; server_max_window_bits="10"'],
    ["7.1.2.2", "permessage-deflate; client_max_window_bits"],
    ["7.1.2.2", "permessage-deflate; client_max_window_bits=8"],
    ["7.1", "permessage-deflate; unknown=1"],
    ["7.1", "permessage-deflate; client_max_window_bits; client_max_window_bits"],
    ["5.1", "permessage-deflate; client_max_window_bits=10, permessage-deflate"],
    ["5.1", "x-webkit-deflate-frame, permessage-deflate"],
    ["5", "permessage-deflate;;"],
    ["5", "x-unknown; a=b"],
  ] as const
).map(([section, offer]) => ({
  section: `RFC 7692 ${section}`,
  name: `declines ${offer}`,
  head: withLines({}, `Sec-WebSocket-Extensions: ${offer}`),
  status: 101,
  fields: { "sec-websocket-extensions": null },
}));

/** All cases of the handshake. */
export const HANDSHAKES: readonly HandshakeRow[] = [...REQUESTS, ...SUBPROTOCOLS, ...EXTENSIONS];

import { headers } from "../../../helpers/http2-frames/fields.ts";
import { data } from "../../../helpers/http2-frames/frames.ts";
import { GET, get, getWith, POST, post } from "./requests.ts";
import type { Row } from "./row.ts";

const MALFORMED = ["reset PROTOCOL_ERROR", 400] as const;

/** Pseudo-fields and targets. */
export const PSEUDO_FIELDS: readonly Row[] = [
  { section: "8.3.1", name: "a plain GET", send: [get()], outcome: 200, shows: /"method":"GET"/ },
  {
    section: "8.3.1",
    name: "another method",
    send: [getWith({ ":method": "PROPFIND" })],
    outcome: 200,
    shows: /"method":"PROPFIND"/,
  },
  {
    section: "8.3.1",
    name: "no :method",
    send: [getWith({ ":method": null })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "no :scheme",
    send: [getWith({ ":scheme": null })],
    outcome: MALFORMED,
  },
  { section: "8.3.1", name: "no :path", send: [getWith({ ":path": null })], outcome: MALFORMED },
  {
    section: "8.3.1",
    name: "an empty :path",
    send: [getWith({ ":path": "" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "a :path without a slash",
    send: [getWith({ ":path": "echo" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "a :path in absolute form",
    send: [getWith({ ":path": "https://localhost/echo" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "a :path with a space",
    send: [getWith({ ":path": "/echo a" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "a :path with a query",
    send: [getWith({ ":path": "/echo?a=b&c" })],
    outcome: 200,
    shows: /"query":"\?a=b&c"/,
  },
  {
    section: "8.3.1",
    name: ":path * of a GET",
    send: [getWith({ ":path": "*" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3",
    name: "an unknown pseudo-field",
    send: [getWith({ ":unknown": "a" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3",
    name: "the pseudo-field of a response",
    send: [getWith({ ":status": "200" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3",
    name: "a pseudo-field twice",
    send: [headers(1, [...GET, [":path", "/other"]], { end: true })],
    outcome: MALFORMED,
  },
  {
    section: "8.3",
    name: "a pseudo-field behind a field",
    send: [headers(1, [...GET.slice(0, 3), ["x-a", "b"], [":path", "/echo"]], { end: true })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "no :authority, but Host",
    send: [
      headers(1, [...GET.filter(([name]) => name !== ":authority"), ["host", "localhost"]], {
        end: true,
      }),
    ],
    outcome: 200,
    shows: /"host":"localhost"/,
  },
  {
    section: "8.3.1",
    name: "neither :authority nor Host",
    send: [getWith({ ":authority": null })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: ":authority and the same Host",
    send: [get([["host", "localhost"]])],
    outcome: 200,
    shows: /"host":"localhost"/,
  },
  {
    section: "8.3.1",
    name: ":authority and another Host",
    send: [get([["host", "other.example"]])],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "two Host fields",
    send: [
      get([
        ["host", "localhost"],
        ["host", "localhost"],
      ]),
    ],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: ":authority with a user",
    send: [getWith({ ":authority": "me@localhost" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "an empty :authority",
    send: [getWith({ ":authority": "" })],
    outcome: MALFORMED,
  },
  {
    section: "8.3.1",
    name: "a scheme that is not the connection's",
    send: [getWith({ ":scheme": "ftp" })],
    outcome: [...MALFORMED, 421],
  },
  {
    section: "8.5",
    name: "CONNECT",
    send: [
      headers(
        1,
        [
          [":method", "CONNECT"],
          [":authority", "localhost:443"],
        ],
        { end: false },
      ),
    ],
    outcome: [405, "reset PROTOCOL_ERROR"],
  },
  {
    section: "8.5",
    name: "CONNECT with :path",
    send: [getWith({ ":method": "CONNECT" })],
    outcome: [...MALFORMED, 405],
  },
  {
    section: "RFC 8441 3",
    name: "extended CONNECT for a WebSocket in a stream that has ended: an ordinary request",
    send: [getWith({ ":method": "CONNECT", ":protocol": "websocket" })],
    outcome: 200,
  },
  {
    section: "RFC 8441 4",
    name: "extended CONNECT for another protocol",
    send: [getWith({ ":method": "CONNECT", ":protocol": "connect-udp" })],
    outcome: 501,
  },
  {
    section: "RFC 8441 4",
    name: ":protocol in a GET",
    send: [getWith({ ":protocol": "websocket" })],
    outcome: MALFORMED,
  },
  {
    section: "RFC 9110 9.3.8",
    name: "TRACE",
    send: [getWith({ ":method": "TRACE" })],
    outcome: 405,
  },
];

/** Field names and values. */
export const FIELDS: readonly Row[] = [
  {
    section: "8.2.1",
    name: "a name in upper case",
    send: [get([["X-Upper", "a"]])],
    outcome: MALFORMED,
  },
  {
    section: "8.2.1",
    name: "a name with a space",
    send: [get([["x a", "b"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "a name with a colon",
    send: [get([["x:a", "b"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "an empty name",
    send: [get([["", "b"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "a name with a byte above 0x7f",
    send: [get([["x-\xe4", "b"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "a value with a line feed",
    send: [get([["x-a", "b\nc"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "a value with a carriage return",
    send: [get([["x-a", "b\rc"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "a value with NUL",
    send: [get([["x-a", "b\0c"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "a value that begins with a space",
    send: [get([["x-a", " b"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "a value that ends with a tab",
    send: [get([["x-a", "b\t"]])],
    outcome: MALFORMED,
    deviation: 200,
  },
  {
    section: "8.2.1",
    name: "a value with bytes above 0x7f",
    send: [get([["x-a", "\xc3\xa4"]])],
    outcome: 200,
  },
  { section: "8.2.1", name: "an empty value", send: [get([["x-a", ""]])], outcome: 200 },
  {
    section: "8.2.2",
    name: "connection",
    send: [get([["connection", "close"]])],
    outcome: MALFORMED,
  },
  {
    section: "8.2.2",
    name: "keep-alive",
    send: [get([["keep-alive", "timeout=5"]])],
    outcome: MALFORMED,
  },
  {
    section: "8.2.2",
    name: "proxy-connection",
    send: [get([["proxy-connection", "close"]])],
    outcome: MALFORMED,
  },
  {
    section: "8.2.2",
    name: "transfer-encoding",
    send: [post([["transfer-encoding", "chunked"]]), data(1, "a", { end: true })],
    outcome: MALFORMED,
  },
  {
    section: "8.2.2",
    name: "upgrade",
    send: [get([["upgrade", "h2c"]])],
    outcome: MALFORMED,
  },
  { section: "8.2.2", name: "te: trailers", send: [get([["te", "trailers"]])], outcome: 200 },
  { section: "8.2.2", name: "te: gzip", send: [get([["te", "gzip"]])], outcome: MALFORMED },
  {
    section: "8.2.3",
    name: "cookies in several fields are joined",
    send: [
      get([
        ["cookie", "a=1"],
        ["x-a", "b"],
        ["cookie", "b=2"],
        ["cookie", "c=3"],
      ]),
    ],
    outcome: 200,
    shows: /"cookie":"a=1; b=2; c=3"/,
  },
  {
    section: "RFC 9110 5.3",
    name: "another field twice",
    send: [
      get([
        ["x-a", "1"],
        ["x-a", "2"],
      ]),
    ],
    outcome: 200,
    shows: /"x-a":"1, 2"/,
  },
  {
    section: "RFC 9110 7.2",
    name: "a forwarding field of an unknown client is dropped",
    send: [get([["x-forwarded-for", "192.0.2.1"]])],
    outcome: 200,
    hides: /192\.0\.2\.1/,
  },
];

/** Bodies, their announced length, and trailers. */
export const BODIES: readonly Row[] = [
  {
    section: "8.1",
    name: "a body in two pieces",
    send: [post(), data(1, "one "), data(1, "two", { end: true })],
    outcome: 200,
    shows: /"body":"one two"/,
  },
  {
    section: "8.1",
    name: "an empty body",
    send: [post(), data(1, "", { end: true })],
    outcome: 200,
    shows: /"body":""/,
  },
  {
    section: "8.1.1",
    name: "content-length with its body",
    send: [post([["content-length", "4"]]), data(1, "body", { end: true })],
    outcome: 200,
    shows: /"body":"body"/,
  },
  {
    section: "8.1.1",
    name: "less than content-length",
    send: [post([["content-length", "5"]]), data(1, "body", { end: true })],
    outcome: MALFORMED,
  },
  {
    section: "8.1.1",
    name: "more than content-length",
    send: [post([["content-length", "3"]]), data(1, "body", { end: true })],
    // With Node 26, nghttp2 ends the connection, which RFC 9113 section 5.4.2 allows.
    outcome: [...MALFORMED, "goaway PROTOCOL_ERROR"],
  },
  {
    section: "8.1.1",
    name: "content-length without a body",
    send: [post([["content-length", "3"]], { end: true })],
    outcome: MALFORMED,
  },
  {
    section: "8.1.1",
    name: "content-length that is no number",
    send: [post([["content-length", "3x"]]), data(1, "abc", { end: true })],
    outcome: MALFORMED,
  },
  {
    section: "8.1.1",
    name: "content-length twice",
    send: [
      post([
        ["content-length", "4"],
        ["content-length", "4"],
      ]),
      data(1, "body", { end: true }),
    ],
    outcome: MALFORMED,
  },
  {
    section: "8.1",
    name: "trailers, which are dropped",
    send: [post(), data(1, "a"), headers(1, [["x-trailer", "b"]], { end: true })],
    outcome: 200,
    shows: /"body":"a"/,
    hides: /x-trailer/,
  },
  {
    section: "8.1",
    name: "trailers without END_STREAM",
    send: [post(), data(1, "a"), headers(1, [["x-trailer", "b"]])],
    outcome: ["reset PROTOCOL_ERROR", "goaway PROTOCOL_ERROR"],
  },
  {
    section: "8.3",
    name: "a pseudo-field in trailers",
    send: [post(), data(1, "a"), headers(1, [[":path", "/b"]], { end: true })],
    outcome: "reset PROTOCOL_ERROR",
  },
  {
    section: "8.1",
    name: "a HEAD request gets no body",
    send: [getWith({ ":method": "HEAD" })],
    outcome: 200,
  },
  {
    section: "RFC 9110 10.1.1",
    name: "another expectation",
    send: [post([["expect", "200-ok"]]), data(1, "a", { end: true })],
    outcome: 417,
  },
  {
    section: "RFC 9110 10.1.1",
    name: "expect: 100-continue",
    send: [
      headers(1, [...POST, ["expect", "100-continue"]]),
      "read",
      data(1, "body", { end: true }),
    ],
    outcome: 200,
    shows: /"body":"body"/,
  },
];

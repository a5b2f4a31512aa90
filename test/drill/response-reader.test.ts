import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ResponseReader } from "../../runtime/drill/response-reader.ts";

interface Seen {
  status: number;
  body: string;
  ended: boolean;
}

function read(pieces: readonly string[], options: { head?: boolean } = {}): Seen[] {
  const seen: Seen[] = [];
  const reader = new ResponseReader({
    onHead: ({ status }) => seen.push({ status, body: "", ended: false }),
    onBody: (bytes, offset) => {
      const last = seen.at(-1);
      assert.equal(offset, last?.body.length);
      if (last !== undefined) last.body += bytes.toString();
    },
    onEnd: (bodyBytes) => {
      const last = seen.at(-1);
      assert.equal(bodyBytes, last?.body.length);
      if (last !== undefined) last.ended = true;
    },
  });
  reader.nextIsHead = options.head === true;
  for (const piece of pieces) reader.push(Buffer.from(piece));
  return seen;
}

const FIXED = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKED =
  "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n";
const EMPTY = "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n";

describe("ResponseReader", () => {
  it("reads one response after another wherever the bytes are split", () => {
    const wire = FIXED + CHUNKED + EMPTY + FIXED;
    const expected = [
      { status: 200, body: "hello", ended: true },
      { status: 404, body: "abc0123456789", ended: true },
      { status: 304, body: "", ended: true },
      { status: 200, body: "hello", ended: true },
    ];
    for (let at = 0; at <= wire.length; at++) {
      assert.deepEqual(read([wire.slice(0, at), wire.slice(at)]), expected, `split at ${at}`);
    }
    assert.deepEqual(read(wire.split("")), expected, "byte by byte");
  });

  it("expects no body in an answer to HEAD", () => {
    const [first] = read(["HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"], { head: true });
    assert.deepEqual(first, { status: 200, body: "", ended: true });
  });

  it("does not end a response with missing bytes", () => {
    for (const wire of [FIXED, CHUNKED]) {
      assert.equal(read([wire.slice(0, -1)])[0]?.ended, false);
    }
  });

  const wrong = [
    "HTTP/1.0 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 200 OK\r\nnofield\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n",
  ];
  for (const wire of wrong) {
    it(`refuses ${JSON.stringify(wire.slice(15))}`, () => {
      assert.throws(() => read([wire]));
    });
  }
});

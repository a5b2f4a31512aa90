import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { HeadFields } from "../../../runtime/engine/head-fields.ts";
import {
  readHttp1Head,
  refusePartOfHead,
  refuseTrailers,
} from "../../../runtime/engine/node/http1-head.ts";

function read(lines: readonly string[]): {
  head: ReturnType<typeof readHttp1Head>;
  fields: HeadFields;
} {
  const fields = new HeadFields({ scheme: "http" });
  const options = { fields, scheme: "http", ownHost: () => "127.0.0.1:80" };
  return { head: readHttp1Head(lines.join("\r\n"), options), fields };
}

function outcomeOf(lines: readonly string[]): string {
  const { head, fields } = read(lines);
  if ("reason" in head) return String(head.status);
  return `${head.method} ${fields.host} ${head.target} 1.${head.minor}`;
}

describe("readHttp1Head()", () => {
  const rows: [lines: readonly string[], outcome: string, section: string][] = [
    [["GET / HTTP/1.1", "Host: a"], "GET a / 1.1", "9112 section 3"],
    [["GET / HTTP/1.2", "Host: a"], "GET a / 1.1", "9110 section 2.5"],
    [["GET / HTTP/1.0"], "GET 127.0.0.1:80 / 1.0", "9112 section 3.2"],
    [["GET / HTTP/2.0", "Host: a"], "505", "9110 section 15.6.6"],
    [["GET / http/1.1", "Host: a"], "400", "9112 section 2.3"],
    [["GET  / HTTP/1.1", "Host: a"], "400", "9112 section 3"],
    [["GET / / HTTP/1.1", "Host: a"], "400", "9112 section 3.2"],
    [["GET /", "Host: a"], "400", "9112 section 3"],
    [["GET", "Host: a"], "400", "9112 section 3"],
    [["", "Host: a"], "400", "9112 section 3"],
    [["G@T / HTTP/1.1", "Host: a"], "400", "9110 section 9.1"],
    [["TRACE / HTTP/1.1", "Host: a"], "405", "9110 section 9.3.8"],
    [["CONNECT a:80 HTTP/1.1", "Host: a"], "405", "9110 section 9.3.6"],
    [["GET / HTTP/1.1"], "400", "9112 section 3.2"],
    [["GET / HTTP/1.1", "Host: a", "Host: a"], "400", "9112 section 3.2"],
    [["GET http://b/c?d HTTP/1.1", "Host: a"], "GET b /c?d 1.1", "9112 section 3.2.2"],
    [["GET HTTP://b HTTP/1.1", "Host: a"], "GET b / 1.1", "9112 section 3.2.2"],
    [["GET http://b?d HTTP/1.1", "Host: a"], "GET b /?d 1.1", "9112 section 3.2.2"],
    [["GET https://b/ HTTP/1.1", "Host: a"], "400", "9110 section 7.4"],
    [["GET http://b/c HTTP/1.1"], "400", "9112 section 3.2"],
    [["GET a HTTP/1.1", "Host: a"], "400", "9112 section 3.2"],
    [["OPTIONS * HTTP/1.1", "Host: a"], "OPTIONS a * 1.1", "9112 section 3.2.4"],
    [["OPTIONS http://b HTTP/1.1", "Host: a"], "OPTIONS b * 1.1", "9112 section 3.2.4"],
    [["GET * HTTP/1.1", "Host: a"], "400", "9112 section 3.2.4"],
    [["GET / HTTP/1.1", "Host : a"], "400", "9112 section 5.1"],
    [["GET / HTTP/1.1", "Host: a", " b"], "400", "9112 section 5.2"],
    [["GET / HTTP/1.1", "Host: a", ": b"], "400", "9112 section 5"],
    [["GET / HTTP/1.1", "Host: a", "b"], "400", "9112 section 5"],
    [["GET / HTTP/1.1", "Host: a", "b: \0"], "400", "9110 section 5.5"],
    [["GET / HTTP/1.1", "Host: a", "b: c\rd: e"], "400", "9112 section 2.2"],
    [["GET / HTTP/1.1", "Host: a\nb: c"], "400", "9112 section 2.2"],
    [["POST / HTTP/1.0", "Transfer-Encoding: chunked"], "400", "9112 section 6.1"],
  ];
  for (const [lines, outcome, section] of rows) {
    it(`reads ${JSON.stringify(lines.join("|"))} as ${outcome} (RFC ${section})`, () => {
      assert.equal(outcomeOf(lines), outcome);
    });
  }

  it("keeps every byte of a value but the blanks around it", () => {
    const { fields } = read(["GET / HTTP/1.1", "Host: a", "X-A: \t\xa0b c\xa0 \t"]);
    const head = fields.toHead({ method: "GET", target: "/", bodyBytes: 0, peer: "::1" });
    assert.ok(!("reason" in head));
    assert.equal(head.fields, "host\na\nx-a\n\xa0b c\xa0");
  });

  it("names the target's host to handlers, and not the one of Host", () => {
    const { fields } = read(["GET http://b/ HTTP/1.1", "Host: a"]);
    const head = fields.toHead({ method: "GET", target: "/", bodyBytes: 0, peer: "::1" });
    assert.ok(!("reason" in head));
    assert.deepEqual([head.origin, head.fields], ["http://b", "host\nb"]);
  });

  it("never throws, and gives a request or a refusal", () => {
    const line = fc.string({
      unit: fc.constantFrom(..."GET/ HTP1.:\r\n\0\x7f\xe9*ahost".split("")),
    });
    fc.assert(
      fc.property(fc.array(line, { maxLength: 4 }), (lines) => {
        const { head } = read(lines);
        assert.ok("reason" in head ? head.status >= 400 : head.target !== "");
      }),
    );
  });
});

describe("refusePartOfHead()", () => {
  const whole = Buffer.from("GET /a HTTP/1.1\r\nHost: a\r\nX: b\r\n\r");

  it("asks for more wherever a valid head is cut", () => {
    for (let end = 0; end <= whole.length; end++) {
      for (let checked = 0; checked <= end; checked++) {
        assert.equal(refusePartOfHead(whole.subarray(0, end), checked), null, `${checked}, ${end}`);
      }
    }
  });

  it("refuses a bare line end and a bad request line without waiting for the rest", () => {
    for (const text of [
      "GET /a HTTP/1.1\n",
      "\x16\x03\x01",
      "GET\r\n",
      "GET / HTTP/1.1\r\nHost: a\rb",
    ]) {
      assert.equal(refusePartOfHead(Buffer.from(text), 0)?.status, 400, JSON.stringify(text));
    }
  });
});

describe("refuseTrailers()", () => {
  it("accepts fields, and refuses everything else", () => {
    assert.equal(refuseTrailers("a: b\r\nc:\r\n"), null);
    for (const text of ["a\r\n", " a: b\r\n", "a : b\r\n", "a: \0\r\n", ": b\r\n"]) {
      assert.notEqual(refuseTrailers(text), null, JSON.stringify(text));
    }
  });
});

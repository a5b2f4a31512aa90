import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  type AccessEntry,
  createJsonLine,
  createPrettyLine,
  MOST_CHARACTERS,
} from "../../runtime/log/access-line.ts";

const entry: AccessEntry = {
  clientAddress: "192.0.2.1",
  scheme: "https",
  host: "example.com",
  method: "GET",
  path: "/hello",
  query: undefined,
  status: 200,
  bytes: 12,
  durationMs: 0.42,
  worker: 1,
  limit: undefined,
  requestId: "01J9",
  referer: undefined,
  userAgent: undefined,
  traceparent: undefined,
  fields: "",
};

// Includes lone surrogates, which a client can cause with broken UTF-8.
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
);
const maybeText = fc.option(fc.option(anyText), { nil: undefined });

const anyEntry: fc.Arbitrary<AccessEntry> = fc.record({
  clientAddress: anyText,
  scheme: fc.constantFrom("http", "https"),
  host: fc.option(anyText),
  method: anyText,
  path: anyText,
  query: maybeText,
  status: fc.integer({ min: 100, max: 599 }),
  bytes: fc.maxSafeNat(),
  durationMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
  worker: fc.option(fc.nat()),
  limit: fc.constantFrom("bodyLimit", "requestTimeout", undefined),
  requestId: anyText,
  referer: maybeText,
  userAgent: maybeText,
  traceparent: fc.constantFrom(
    "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    undefined,
  ),
  fields: fc.constant(""),
});

/** The part of an entry that its line holds. Undefined fields are left out, and lone surrogates are no characters. */
function toLogged(any: AccessEntry): Record<string, unknown> {
  const fields = Object.entries(any).filter(
    ([name, value]) => value !== undefined && name !== "fields",
  );
  return Object.fromEntries(
    fields.map(([name, value]) => [name, typeof value === "string" ? repair(value) : value]),
  );
}

function repair(text: string): string {
  return Array.from(text, (character) =>
    /^[\ud800-\udfff]$/.test(character) ? "\ufffd" : character,
  ).join("");
}

describe("createJsonLine()", () => {
  it("names the upstream server, and the number of attempts after a retry", () => {
    const upstream = { name: "http://10.0.0.1:80", attempts: 1, status: 200, durationMs: 0.3 };
    const line = createJsonLine()({ ...entry, worker: null, upstream }, 0);
    assert.match(
      line,
      /"worker":null,"upstream":"http:\/\/10\.0\.0\.1:80","upstreamStatus":200,"upstreamMs":0\.300,"requestId"/,
    );
    const failed = { ...upstream, attempts: 3, status: null, durationMs: null };
    assert.match(
      createJsonLine()({ ...entry, upstream: failed }, 0),
      /"upstreamStatus":null,"upstreamMs":null,"attempts":3,/,
    );
  });

  it("gives the fields of the other log lines first", () => {
    assert.equal(
      createJsonLine()(entry, Date.UTC(2026, 0, 2, 3, 4, 5, 6)),
      '{"level":"info","time":"2026-01-02T03:04:05.006Z","component":"access",' +
        '"clientAddress":"192.0.2.1","scheme":"https","host":"example.com","method":"GET",' +
        '"path":"/hello","status":200,"bytes":12,"durationMs":0.420,"worker":1,"requestId":"01J9"}\n',
    );
  });

  it("writes each line as if it were the first", () => {
    // Few values for each key, so that lines in a row share some of them.
    const some = fc.record({
      clientAddress: fc.constantFrom("::1", "192.0.2.1"),
      scheme: fc.constantFrom("http" as const, "https" as const),
      host: fc.constantFrom("a.example", null),
      method: fc.constantFrom("GET", "POST"),
      path: fc.constantFrom("/", "/\u00e9"),
      query: fc.constantFrom(undefined, null, "a=1"),
      referer: fc.constantFrom(undefined, null, "http://a.example/"),
      userAgent: fc.constantFrom(undefined, null, "curl"),
    });
    fc.assert(
      fc.property(fc.array(some, { minLength: 2, maxLength: 20 }), (changes) => {
        const format = createJsonLine();
        for (const change of changes) {
          const next = { ...entry, ...change };
          assert.equal(format(next, 0), createJsonLine()(next, 0));
        }
      }),
    );
  });

  it("has query, referer and user agent when they are given", () => {
    const line = createJsonLine()({ ...entry, query: "a=1", referer: null, userAgent: "curl" }, 0);
    assert.match(line, /"path":"\/hello","query":"a=1","status"/);
    assert.match(line, /"requestId":"01J9","referer":null,"userAgent":"curl"}\n$/);
  });

  it("is one line of ASCII that parses to the same values", () => {
    const format = createJsonLine();
    fc.assert(
      fc.property(anyEntry, fc.date({ noInvalidDate: true }), (any, time) => {
        const line = format(any, time.getTime());
        assert.match(line, /^[ -~]+\n$/);
        assert.deepEqual(JSON.parse(line), {
          level: "info",
          time: time.toISOString(),
          component: "access",
          ...toLogged(any),
          durationMs: Math.round(any.durationMs * 1000) / 1000,
        });
      }),
      { numRuns: 2000 },
    );
  });

  it("cuts long texts, with a mark, so that a line always fits into one write to a pipe", () => {
    const format = createJsonLine();
    const longest = "x".repeat(MOST_CHARACTERS);
    assert.ok(format({ ...entry, path: longest }, 0).includes(`"${longest}"`));
    assert.ok(format({ ...entry, path: `${longest}y` }, 0).includes(`"${longest}\\u2026"`));
    for (const character of ["x", "\u001b", '"', "\u00e9", "\u{1f600}", "\ud83d"]) {
      const text = character.repeat(9_000);
      const all = { host: text, method: text, path: text, query: text };
      const line = format({ ...entry, ...all, referer: text, userAgent: text }, 0);
      assert.ok(line.length < 4096, String(line.length));
      const { path } = JSON.parse(line) as { path: string };
      assert.ok(path.endsWith("\u2026"));
      assert.ok(repair(text).startsWith(path.slice(0, -1)));
    }
  });

  it("writes null for numbers that JSON does not have", () => {
    const odd = { ...entry, bytes: Number.NaN, durationMs: Number.POSITIVE_INFINITY };
    const parsed: unknown = JSON.parse(createJsonLine()(odd, 0));
    assert.deepEqual(parsed, {
      ...toLogged(entry),
      level: "info",
      time: "1970-01-01T00:00:00.000Z",
      component: "access",
      bytes: null,
      durationMs: null,
    });
  });

  it("tells the time of each line", () => {
    const format = createJsonLine();
    const times = [5, 5, 6, 5].map((ms) => /"time":"[^"]*\.(\d+)Z"/.exec(format(entry, ms))?.[1]);
    assert.deepEqual(times, ["005", "005", "006", "005"]);
  });
});

describe("createPrettyLine()", () => {
  it("is short", () => {
    const time = new Date(2026, 0, 2, 3, 4, 5, 6).getTime();
    const format = createPrettyLine(false);
    assert.equal(
      format(entry, time),
      "03:04:05.006 200 GET /hello  12 B  0.420 ms  worker 1  192.0.2.1  01J9\n",
    );
    assert.equal(
      format({ ...entry, worker: null, bytes: 20_480 }, time),
      "03:04:05.006 200 GET /hello  20 KiB  0.420 ms  primary  192.0.2.1  01J9\n",
    );
    assert.equal(
      format({ ...entry, limit: "bodyLimit" }, time),
      "03:04:05.006 200 GET /hello  12 B  0.420 ms  worker 1  bodyLimit  192.0.2.1  01J9\n",
    );
  });

  it("names the upstream server", () => {
    const upstream = { name: "http://10.0.0.1:80", attempts: 1, status: 200, durationMs: 0.3 };
    const line = createPrettyLine(false)({ ...entry, worker: null, upstream }, 0);
    assert.match(line, / {2}http:\/\/10\.0\.0\.1:80 {2}192\.0\.2\.1 /);
  });

  it("has the query when it is given", () => {
    assert.match(createPrettyLine(false)({ ...entry, query: "a=1" }, 0), / \/hello\?a=1 {2}/);
  });

  it("passes no control characters to a terminal", () => {
    const format = createPrettyLine(false);
    fc.assert(
      fc.property(anyEntry, (any) => {
        assert.match(format(any, 0), /^[ -~]+\n$/);
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import type {
  AccessRules,
  ExchangeEnd,
  FinishedExchange,
  WriteLine,
} from "../../runtime/log/access-entry.ts";
import { MOST_CHARACTERS } from "../../runtime/log/access-line.ts";
import { createJsonLines } from "../../runtime/log/json-line.ts";
import { LineBatch } from "../../runtime/log/line-batch.ts";
import { fakeDestination } from "../helpers/fake-destination.ts";
import { FEW_PARTS, finishedExchange } from "../helpers/finished-exchange.ts";

const end: ExchangeEnd = { status: 200, bytes: 12, nowMs: 0.42, timeMs: 0 };
const ALL_PARTS: AccessRules = { ...FEW_PARTS, withQuery: true, withClient: true };

/** Returns a function that formats lines. They leave the batch one by one. */
function formatter(rules: AccessRules): (...line: Parameters<WriteLine>) => string {
  const destination = fakeDestination();
  const batch = new LineBatch(destination, 0);
  const write = createJsonLines(batch, { rules, requestIdPrefix: "a-" });
  return (exchange, ending) => {
    write(exchange, ending);
    batch.flush();
    return destination.writes.pop() ?? assert.fail("no line");
  };
}

function lineOf(exchange: FinishedExchange, rules: AccessRules = FEW_PARTS): string {
  return formatter(rules)(exchange, end);
}

/** Texts as field values have them: one character per byte. */
function toValue(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1").replaceAll("\n", " ");
}

/** Replaces lone surrogates, which are no characters. */
function repair(text: string): string {
  return Array.from(text, (character) =>
    /^[\ud800-\udfff]$/.test(character) ? "\ufffd" : character,
  ).join("");
}

// Includes lone surrogates, which a client can cause with broken UTF-8.
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)) }),
);

describe("createJsonLines()", () => {
  it("gives the fields of the other log lines first", () => {
    const id = 37 as ExchangeId; // ids are whole numbers
    const format = formatter(FEW_PARTS);
    assert.equal(
      format(finishedExchange({}, { id }), { ...end, timeMs: Date.UTC(2026, 0, 2, 3, 4, 5, 6) }),
      '{"level":"info","time":"2026-01-02T03:04:05.006Z","component":"access",' +
        '"clientAddress":"192.0.2.1","scheme":"https","host":"example.com","method":"GET",' +
        '"path":"/hello","status":200,"bytes":12,"durationMs":0.420,"worker":1,"requestId":"a-11"}\n',
    );
  });

  it("writes each line as if it were the first", () => {
    // Few values for each key, so that lines in a row share some of them.
    const some = fc.record({
      clientAddress: fc.constantFrom("::1", "192.0.2.1"),
      origin: fc.constantFrom("http://a.example", "https://a.example", "http:"),
      method: fc.constantFrom("GET", "POST"),
      target: fc.constantFrom("/", "/\u00e9", "/?a=1"),
      requestId: fc.constantFrom(null, "given"),
      fields: fc.constantFrom(null, "", "user-agent\ncurl", "referer\nhttp://a.example/?a=1"),
    });
    const anyEnd = fc.record({
      status: fc.constantFrom(200, 404),
      bytes: fc.constantFrom(0, 1000),
      nowMs: fc.constantFrom(0, 10.5),
      timeMs: fc.constantFrom(0, 1, 999, 1000, 1001, 86_400_000),
    });
    const line = fc.tuple(some, anyEnd);
    fc.assert(
      fc.property(fc.array(line, { minLength: 2, maxLength: 20 }), fc.boolean(), (lines, few) => {
        const rules = few ? FEW_PARTS : ALL_PARTS;
        const format = formatter(rules);
        for (const [head, ending] of lines) {
          const exchange = finishedExchange(head);
          assert.equal(format(exchange, ending), formatter(rules)(exchange, ending));
        }
      }),
    );
  });

  it("has query, referer and user agent when they are asked for", () => {
    const exchange = finishedExchange({ target: "/hello?a=1", fields: "user-agent\ncurl" });
    const line = lineOf(exchange, ALL_PARTS);
    assert.match(line, /"path":"\/hello","query":"a=1","status"/);
    assert.match(line, /"requestId":"a-1","referer":null,"userAgent":"curl"}\n$/);
    assert.doesNotMatch(lineOf(exchange), /query|referer|userAgent/);
  });

  it("names the limit, the trace and the primary", () => {
    const traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const head = { fields: `traceparent\n${traceparent}` };
    const line = lineOf(finishedExchange(head, { workerId: null, limitedBy: "bodyLimit" }));
    assert.ok(
      line.endsWith(
        `"worker":null,"limit":"bodyLimit","requestId":"a-1","traceparent":"${traceparent}"}\n`,
      ),
    );
  });

  it("has the result of the cache", () => {
    const line = lineOf(finishedExchange({}, { workerId: null, cached: "stale" }));
    assert.match(line, /"worker":null,"cache":"stale","requestId"/);
    assert.doesNotMatch(lineOf(finishedExchange({}, { cached: null })), /cache|passedOn/);
    assert.match(lineOf(finishedExchange({}, { passedOn: true })), /"worker":\d+,"passedOn":true,/);
  });

  it("names the protocol unless it is HTTP/1.1, also behind an equal request", () => {
    const format = formatter(FEW_PARTS);
    const line = (protocol?: "HTTP/2.0"): string =>
      format(finishedExchange(protocol === undefined ? {} : { protocol }), end);
    assert.doesNotMatch(line(), /protocol/);
    assert.match(line("HTTP/2.0"), /"host":"[^"]+","protocol":"HTTP\/2\.0","method"/);
    assert.doesNotMatch(line(), /protocol/);
  });

  it("names the upstream server, and the number of attempts after a retry", () => {
    const upstream = { name: "http://10.0.0.1:80", attempts: 1, status: 200, durationMs: 0.3 };
    assert.match(
      lineOf(finishedExchange({}, { workerId: null, upstream })),
      /"worker":null,"upstream":"http:\/\/10\.0\.0\.1:80","upstreamStatus":200,"upstreamMs":0\.300,"requestId"/,
    );
    const failed = { ...upstream, attempts: 3, status: null, durationMs: null };
    assert.match(
      lineOf(finishedExchange({}, { upstream: failed })),
      /"upstreamStatus":null,"upstreamMs":null,"attempts":3,/,
    );
  });

  it("is one line of ASCII that parses to the same values", () => {
    const format = formatter(ALL_PARTS);
    const any = fc.record({
      clientAddress: anyText,
      host: anyText.filter((text) => text !== ""),
      method: anyText,
      path: anyText.map((text) => text.replaceAll("?", "")),
      query: anyText,
      requestId: anyText,
      referer: anyText,
      userAgent: anyText,
      status: fc.integer({ min: 100, max: 599 }),
      bytes: fc.maxSafeNat(),
      durationMs: fc.double({ min: 0, max: 1e9, noNaN: true }),
      time: fc.date({
        min: new Date(0),
        max: new Date("9999-12-31T23:59:59.999Z"),
        noInvalidDate: true,
      }),
    });
    fc.assert(
      fc.property(any, (given) => {
        const { clientAddress, method, path, query, requestId, time, durationMs } = given;
        const [referer, userAgent] = [toValue(given.referer), toValue(given.userAgent)];
        const exchange = finishedExchange({
          clientAddress,
          method,
          requestId,
          origin: `https://${given.host}`,
          target: `${path}?${query}`,
          fields: `referer\n${referer}\nuser-agent\n${userAgent}`,
        });
        const { status, bytes } = given;
        const line = format(exchange, { status, bytes, nowMs: durationMs, timeMs: +time });
        assert.match(line, /^[ -~]+\n$/);
        assert.deepEqual(JSON.parse(line), {
          level: "info",
          time: time.toISOString(),
          component: "access",
          clientAddress: repair(clientAddress),
          scheme: "https",
          host: repair(given.host),
          method: repair(method),
          path: repair(path),
          query: repair(query),
          status,
          bytes,
          durationMs: Math.round(durationMs * 1000) / 1000,
          worker: 1,
          requestId: repair(requestId),
          referer: Buffer.from(referer, "latin1").toString("utf8"),
          userAgent: Buffer.from(userAgent, "latin1").toString("utf8"),
        });
      }),
      { numRuns: 1000 },
    );
  });

  it("cuts long texts, with a mark, so that a line always fits into one write to a pipe", () => {
    const longest = "x".repeat(MOST_CHARACTERS);
    assert.ok(lineOf(finishedExchange({ target: longest })).includes(`"${longest}"`));
    assert.ok(lineOf(finishedExchange({ target: `${longest}y` })).includes(`"${longest}\\u2026"`));
    for (const character of ["x", "\u001b", '"', "\u00e9", "\u{1f600}", "\ud83d"]) {
      const text = character.repeat(9_000);
      const value = toValue(text);
      const head = { origin: `https://${text}`, method: text, target: `${text}?${text}` };
      const fields = `referer\n${value}\nuser-agent\n${value}`;
      const line = lineOf(finishedExchange({ ...head, fields }), ALL_PARTS);
      assert.ok(line.length < 4096, String(line.length));
      const { path } = JSON.parse(line) as { path: string };
      assert.ok(path.endsWith("\u2026"));
      assert.ok(repair(text).startsWith(path.slice(0, -1)));
    }
  });

  it("writes null for numbers that JSON does not have", () => {
    const odd = { ...end, bytes: Number.NaN, nowMs: Number.POSITIVE_INFINITY };
    assert.match(formatter(FEW_PARTS)(finishedExchange(), odd), /"bytes":null,"durationMs":null,/);
  });
});

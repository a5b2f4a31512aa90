import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { COMBINED_FORMAT, parseAccessFormat } from "../../runtime/lib/access-format.ts";
import type { AccessEntry } from "../../runtime/log/access-entry.ts";
import { createFormattedLine } from "../../runtime/log/format-line.ts";

const entry: AccessEntry = {
  clientAddress: "192.0.2.1",
  scheme: "https",
  host: "example.com",
  method: "GET",
  protocol: "HTTP/1.1",
  path: "/hello",
  query: "a=1",
  status: 200,
  bytes: 12,
  durationMs: 420.4,
  worker: 1,
  limit: undefined,
  requestId: "01J9",
  referer: null,
  userAgent: 'curl "8"',
  traceparent: undefined,
  fields: "host\nexample.com\nx-a\ncaf\u00c3\u00a9\nx-empty\n",
};
const TIME = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
const keep = (text: string): string => text;

describe("createFormattedLine()", () => {
  it("writes the combined format of Nginx and Apache", () => {
    const line = createFormattedLine("combined", keep)(entry, TIME);
    const pattern =
      /^192\.0\.2\.1 - - \[0[123]\/Jan\/2026:\d\d:\d4:05 [+-]\d{4}\] "GET \/hello\?a=1 HTTP\/1\.1" 200 12 "-" "curl \\x228\\x22"\n$/;
    assert.match(line, pattern);
  });

  it("has Nginx's variables, and fields of the request", () => {
    const cases: [format: string, line: string][] = [
      ["$remote_addr $scheme://$host$request_uri", "192.0.2.1 https://example.com/hello?a=1"],
      ["$request_method $uri $args", "GET /hello a=1"],
      ["${status}ms $request_time $msec", "200ms 0.420 1767323045.006"],
      ["$time_iso8601 $request_id $worker $limit", "2026-01-02T03:04:05.006Z 01J9 1 -"],
      ["[$http_x_a] $http_x_empty $http_none $traceparent", "[caf\\xC3\\xA9] - - -"],
      ["$server_protocol $remote_user", "HTTP/1.1 -"],
      ["$upstream_addr $upstream_status $upstream_header_time", "- - -"],
    ];
    for (const [format, line] of cases) {
      assert.equal(createFormattedLine(format, keep)(entry, TIME), `${line}\n`, format);
    }
  });

  it("names the upstream server", () => {
    const format = createFormattedLine(
      "$upstream_addr $upstream_status $upstream_header_time",
      keep,
    );
    const upstream = { name: "unix:/run/a.sock", attempts: 2, status: 201, durationMs: 12.3 };
    assert.equal(format({ ...entry, upstream }, TIME), "unix:/run/a.sock 201 0.012\n");
    const failed = { ...upstream, status: null, durationMs: null };
    assert.equal(format({ ...entry, upstream: failed }, TIME), "unix:/run/a.sock - -\n");
  });

  it("names the protocol of the request", () => {
    const format = createFormattedLine('"$request" $server_protocol', keep);
    const line = format({ ...entry, protocol: "HTTP/2.0" }, TIME);
    assert.equal(line, '"GET /hello?a=1 HTTP/2.0" HTTP/2.0\n');
  });

  it("has the result of the cache as Nginx writes it", () => {
    const format = createFormattedLine("$upstream_cache_status", keep);
    assert.equal(format({ ...entry, cached: "revalidated" }, TIME), "REVALIDATED\n");
    assert.equal(format(entry, TIME), "-\n");
  });

  it("lets no client end a line or a quote", () => {
    const any = fc.string({ unit: "binary", maxLength: 700 });
    const format = createFormattedLine(
      `${COMBINED_FORMAT} "$host" "$http_x_a" "$request_id"`,
      keep,
    );
    fc.assert(
      fc.property(any, any, any, (one, two, three) => {
        const latin1 = Buffer.from(three).toString("latin1").replaceAll("\n", "");
        const line = format(
          {
            ...entry,
            method: one,
            path: two,
            query: three,
            host: one,
            clientAddress: two,
            referer: three,
            userAgent: one,
            requestId: two,
            fields: `x-a\n${latin1}`,
          },
          TIME,
        );
        assert.match(line, /^[ -~]+\n$/);
        assert.equal(line.split('"').length, 1 + 2 * 6);
      }),
    );
  });
});

describe("parseAccessFormat()", () => {
  it("refuses a format with a reason", () => {
    const cases: [format: string, reason: RegExp][] = [
      ["", /no variable/],
      ["hello", /no variable/],
      ["$status\n", /control character/],
      ["$statuss", /\$statuss, which is no variable/],
      ["$", /without the name/],
      ["$http_cookie", /credentials/],
      ["${http_authorization}", /credentials/],
      ["$http_proxy_authorization $status", /credentials/],
      [`$status${" ".repeat(1_000)}`, /1000 characters/],
    ];
    for (const [format, reason] of cases) {
      const result = parseAccessFormat(format);
      assert.match(typeof result === "string" ? result : "", reason, format);
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { array, assert as assertProperty, constantFrom, property } from "fast-check";
import { type Field, readForwarding, toFieldRole } from "../../runtime/http/forwarding.ts";
import { createAddressRanges } from "../../runtime/lib/address-ranges.ts";

const proxies = createAddressRanges(["10.0.0.0/8", "2001:db8:a::/48"]);
const CONNECTION = { peer: "10.0.0.1", scheme: "http", host: "inner:8080" } as const;

function read(fields: readonly Field[], kind: "x-forwarded" | "forwarded" = "x-forwarded") {
  return readForwarding(CONNECTION, fields, { proxies, kind });
}

const xff = (value: string): Field => ["x-forwarded-for", value];
const forwarded = (value: string): Field => ["forwarded", value];

describe("readForwarding()", () => {
  it("walks over trusted proxies from the right, and passes on what it walked over", () => {
    const cases: [fields: Field[], client: string, passed: string | null][] = [
      [[], "10.0.0.1", null],
      [[xff("")], "10.0.0.1", null],
      [[xff("192.0.2.7")], "192.0.2.7", "192.0.2.7"],
      [[xff("6.6.6.6, 192.0.2.7")], "192.0.2.7", "192.0.2.7"],
      [[xff("6.6.6.6, 192.0.2.7, 10.9.9.9")], "192.0.2.7", "192.0.2.7, 10.9.9.9"],
      // A client cannot pass for a proxy: its own address stands behind all that it sent.
      [[xff("6.6.6.6, 10.2.2.2, 192.0.2.7")], "192.0.2.7", "192.0.2.7"],
      [[xff("6.6.6.6"), xff("192.0.2.7")], "192.0.2.7", "192.0.2.7"],
      // All are proxies: the farthest is the client.
      [[xff("10.3.3.3, 10.2.2.2")], "10.3.3.3", "10.3.3.3, 10.2.2.2"],
      [[xff("192.0.2.7:4711")], "192.0.2.7", "192.0.2.7"],
      [[xff("[2001:DB8::7]:4711")], "2001:db8::7", "2001:db8::7"],
      [[xff("2001:db8::7, 2001:db8:a::1")], "2001:db8::7", "2001:db8::7, 2001:db8:a::1"],
      [[xff("::ffff:192.0.2.7")], "192.0.2.7", "192.0.2.7"],
      // The proxy does not know: nothing to its left counts.
      [[xff("192.0.2.7, unknown")], "10.0.0.1", null],
      [[xff("192.0.2.7, unknown, 10.2.2.2")], "10.2.2.2", "10.2.2.2"],
      [[xff("192.0.2.7, 127.1")], "10.0.0.1", null],
    ];
    for (const [fields, client, passed] of cases) {
      const found = read(fields);
      assert.equal(found.clientAddress, client, JSON.stringify(fields));
      const rest = passed === null ? [] : [["x-forwarded-for", passed]];
      assert.deepEqual(found.fields, rest, JSON.stringify(fields));
    }
  });

  it("takes scheme, host and port from the proxy", () => {
    const cases: [fields: Field[], scheme: string, host: string][] = [
      [[], "http", "inner:8080"],
      [[["x-forwarded-proto", "https"]], "https", "inner:8080"],
      [[["x-forwarded-proto", "WSS"]], "https", "inner:8080"],
      [[["x-forwarded-proto", "javascript"]], "http", "inner:8080"],
      [[["x-forwarded-host", "example.com"]], "http", "example.com"],
      [
        [
          ["x-forwarded-host", "example.com"],
          ["x-forwarded-proto", "https"],
          ["x-forwarded-port", "8443"],
        ],
        "https",
        "example.com:8443",
      ],
      [
        [
          ["x-forwarded-host", "example.com"],
          ["x-forwarded-proto", "https"],
          ["x-forwarded-port", "443"],
        ],
        "https",
        "example.com",
      ],
      [
        [
          ["x-forwarded-host", "example.com:9"],
          ["x-forwarded-port", "8443"],
        ],
        "http",
        "example.com:9",
      ],
      [
        [
          ["x-forwarded-host", "[::1]"],
          ["x-forwarded-port", "81"],
        ],
        "http",
        "[::1]:81",
      ],
      // As many values as hops: the one that the client's hop saw. Otherwise the nearest proxy's.
      [
        [
          xff("6.6.6.6, 192.0.2.7, 10.2.2.2"),
          ["x-forwarded-proto", "http, https, http"],
          ["x-forwarded-host", "evil, example.com, inner"],
        ],
        "https",
        "example.com",
      ],
      [
        [xff("192.0.2.7, 10.2.2.2"), ["x-forwarded-proto", "http,http,https"]],
        "https",
        "inner:8080",
      ],
    ];
    for (const [fields, scheme, host] of cases) {
      const found = read(fields);
      assert.deepEqual([found.scheme, found.host], [scheme, host], JSON.stringify(fields));
    }
  });

  it("reads Forwarded as RFC 7239 writes it", () => {
    const cases: [value: string, client: string, scheme: string, host: string][] = [
      // Section 4.
      ['for="192.0.2.43"', "192.0.2.43", "http", "inner:8080"],
      ['For="[2001:db8:cafe::17]:4711"', "2001:db8:cafe::17", "http", "inner:8080"],
      ["for=192.0.2.60;proto=https;by=203.0.113.43", "192.0.2.60", "https", "inner:8080"],
      ["for=192.0.2.43, for=198.51.100.17", "198.51.100.17", "http", "inner:8080"],
      [
        'for=192.0.2.7;host="a.example:8443";proto=https, for=10.2.2.2;proto=http;host=b',
        "192.0.2.7",
        "https",
        "a.example:8443",
      ],
      ["for=6.6.6.6;host=evil, for=192.0.2.7", "192.0.2.7", "http", "inner:8080"],
      // The first `for` of an element counts, and a quote may hide a comma.
      ["for=192.0.2.7;for=6.6.6.6", "192.0.2.7", "http", "inner:8080"],
      ['for="6.6.6.6, for=192.0.2.8", for=192.0.2.7', "192.0.2.7", "http", "inner:8080"],
      ["for=_hidden", "10.0.0.1", "http", "inner:8080"],
      ["for=unknown, for=10.2.2.2;proto=https", "10.2.2.2", "https", "inner:8080"],
      // No host: the request is refused. It must not pass for a request of the proxy itself.
      ['for="6.6.6.6', "10.0.0.1", "http", ""],
      ['for="6.6.6.6, for=192.0.2.7', "10.0.0.1", "http", ""],
      ['for="a\\, for="[2001:db8::7]";proto=https', "10.0.0.1", "http", ""],
      ["192.0.2.7", "10.0.0.1", "http", "inner:8080"],
    ];
    for (const [value, client, scheme, host] of cases) {
      const found = read([forwarded(value)], "forwarded");
      assert.deepEqual(
        [found.clientAddress, found.scheme, found.host],
        [client, scheme, host],
        value,
      );
    }
    const passed = read(
      [forwarded("for=6.6.6.6"), forwarded('for="[2001:db8::7]";proto=https')],
      "forwarded",
    );
    assert.deepEqual(passed.fields, [["forwarded", 'for="[2001:db8::7]";proto=https']]);
  });

  it("drops the kind of fields that the proxies do not send, and corrects the others", () => {
    const fields: Field[] = [
      xff("6.6.6.6, 192.0.2.7"),
      ["x-forwarded-proto", "https"],
      ["x-forwarded-port", "444"],
      ["x-forwarded-user", "ann"],
      ["x-real-ip", "6.6.6.6"],
      forwarded("for=192.0.2.8;host=evil"),
      ["x-request-id", "abc-1"],
    ];
    assert.deepEqual(read(fields), {
      clientAddress: "192.0.2.7",
      scheme: "https",
      host: "inner:8080",
      fields: [
        ["x-forwarded-for", "192.0.2.7"],
        ["x-forwarded-proto", "https"],
        ["x-forwarded-port", "8080"],
        ["x-real-ip", "192.0.2.7"],
        ["x-forwarded-user", "ann"],
        ["x-request-id", "abc-1"],
      ],
      requestId: "abc-1",
    });
    assert.deepEqual(read(fields, "forwarded").fields, [
      ["forwarded", "for=192.0.2.8;host=evil"],
      ["x-real-ip", "192.0.2.8"],
      ["x-forwarded-user", "ann"],
      ["x-request-id", "abc-1"],
    ]);
  });

  it("takes no request id that could harm a log", () => {
    for (const value of ["", "a b", 'a"b', "a,b", "\u00e9", "x".repeat(129)]) {
      const found = read([["x-request-id", value]]);
      assert.deepEqual([found.requestId, found.fields], [null, []], value);
    }
    const twice = read([
      ["x-request-id", "a"],
      ["x-request-id", "b"],
    ]);
    assert.deepEqual([twice.requestId, twice.fields], [null, []]);
  });

  it("finds the same client whatever the client sent itself", () => {
    const words = constantFrom(
      "6.6.6.6",
      "10.5.5.5",
      "unknown",
      '"',
      "for=6.6.6.6",
      ";",
      ",",
      "\\",
      "",
    );
    const forged = array(words, { maxLength: 8 }).map((parts) => parts.join(", "));
    assertProperty(
      property(forged, (sent) => {
        const viaList = read([xff(sent), xff("192.0.2.7, 10.2.2.2")]);
        assert.deepEqual(
          [viaList.clientAddress, viaList.fields],
          ["192.0.2.7", [["x-forwarded-for", "192.0.2.7, 10.2.2.2"]]],
        );
        const found = read([forwarded(sent), forwarded("for=192.0.2.7")], "forwarded");
        // A quote without an end makes the whole field unreadable, and the request is refused.
        if (found.host !== "") assert.equal(found.clientAddress, "192.0.2.7");
        else assert.match(sent, /"/);
      }),
    );
  });
});

describe("toFieldRole()", () => {
  it("knows fields that describe the client, in both spellings", () => {
    const roles: [role: string, names: string[]][] = [
      ["forwarding", ["forwarded", "x-forwarded-for", "x-forwarded-user", "x-real-ip"]],
      ["request-id", ["x-request-id"]],
      ["twin", ["x_forwarded_for", "x-forwarded_for", "x_real_ip", "x_request-id"]],
      ["plain", ["via", "x-forwarded", "host", "a_b", "x-forwarded-", "forwarded-for"]],
    ];
    for (const [role, names] of roles) {
      for (const name of names) assert.equal(toFieldRole(name), role, name);
    }
  });
});

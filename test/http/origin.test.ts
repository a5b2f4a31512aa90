import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { OriginResolver } from "../../runtime/http/origin.ts";

describe("OriginResolver", () => {
  it("makes the origin that a URL with this host has", () => {
    const cases: [host: string, http: string | null, https?: string | null][] = [
      ["example.com", "http://example.com", "https://example.com"],
      ["EXAMPLE.com", "http://example.com", "https://example.com"],
      ["example.com:80", "http://example.com", "https://example.com:80"],
      ["example.com:443", "http://example.com:443", "https://example.com"],
      ["example.com:8080", "http://example.com:8080", "https://example.com:8080"],
      ["example.com:", "http://example.com"],
      ["localhost:0", "http://localhost:0"],
      ["localhost:65535", "http://localhost:65535"],
      ["127.0.0.1:8080", "http://127.0.0.1:8080"],
      ["[::1]:8080", "http://[::1]:8080"],
      ["[2001:DB8:0:0::1]", "http://[2001:db8::1]"],
      ["xn--bcher-kva.example", "http://xn--bcher-kva.example"],
      ["a_b.example", "http://a_b.example"],
      ["example.com.", "http://example.com."],
    ];
    for (const [host, http, https] of cases) {
      assert.equal(new OriginResolver("http").resolve(host), http, host);
      if (https !== undefined) assert.equal(new OriginResolver("https").resolve(host), https, host);
    }
  });

  it("refuses what names no host, or more than a host", () => {
    const hosts = [
      "",
      " ",
      "a b",
      "a/b",
      "a?b",
      "a#b",
      "user@example.com",
      "user:secret@example.com",
      "http://example.com",
      "example.com:port",
      "example.com:65536",
      "example.com:123456",
      "example.com:80:80",
      ":80",
      "[::1",
      "::1",
      "[::1]x",
      "[zz::1]",
      "[1.2.3.4]",
      "a\\b",
      "a<b",
      "a\tb",
      "a\0b",
      "b\u00fccher.example",
      "%zz",
      "%2f",
      "256.1.1.1",
      "a,b.example,c:99999",
    ];
    for (const host of hosts) {
      assert.equal(new OriginResolver("http").resolve(host), null, JSON.stringify(host));
    }
  });

  it("answers the same however many hosts it has seen", () => {
    const resolver = new OriginResolver("http");
    for (let round = 0; round < 2; round++) {
      for (let number = 0; number < 3_000; number++) {
        assert.equal(resolver.resolve(`h${number}.example`), `http://h${number}.example`);
        assert.equal(resolver.resolve(`h ${number}`), null);
      }
    }
  });

  it("gives nothing or an origin that parses to itself, and never another host's", () => {
    const resolver = new OriginResolver("http");
    const host = fc.oneof(fc.string({ maxLength: 30 }), fc.webAuthority({ withPort: true }));
    fc.assert(
      fc.property(host, (text) => {
        const origin = resolver.resolve(text);
        if (origin === null) return;
        assert.equal(new URL(origin).origin, origin);
        assert.equal(new URL(`http://${text}/`).origin, origin);
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { OriginResolver } from "../../runtime/http/origin.ts";
import { HostTable, hostOf } from "../../runtime/http/host-table.ts";

const table = new HostTable<string>({
  entries: [
    { hosts: ["example.com", "www.example.com", "a.example.org"], value: "exact" },
    { hosts: ["*.example.org", "*.example.com"], value: "wild" },
    { hosts: ["127.0.0.1", "[::1]", "localhost"], value: "address" },
  ],
  otherwise: "other",
});

/** Finds the value of a `Host` field as a request has it. */
function find(host: string, scheme: "http" | "https" = "http"): string | null {
  const origin = new OriginResolver(scheme).resolve(host);
  return origin === null ? null : table.find(origin);
}

describe("HostTable", () => {
  it("finds the value of a host without regard to port, case and a final dot", () => {
    const cases: [string, string][] = [
      ["example.com", "exact"],
      ["EXample.com.:8443", "exact"],
      ["example.com:", "exact"],
      ["www.example.com:80", "exact"],
      ["a.example.org", "exact"],
      ["b.example.org", "wild"],
      ["B.EXAMPLE.ORG.", "wild"],
      ["a.b.example.org", "other"],
      ["example.org", "other"],
      [".example.org", "other"],
      ["example.com.evil.example", "other"],
      ["evilexample.com", "other"],
      ["127.0.0.1:8080", "address"],
      ["0x7f.1", "address"],
      ["[::1]:80", "address"],
      ["[0:0::0:1]", "address"],
      ["localhost.", "address"],
      ["127.0.0.2", "other"],
      ["com", "other"],
    ];
    for (const scheme of ["http", "https"] as const) {
      for (const [host, expected] of cases) {
        // Twice: the second answer is the remembered one.
        for (const time of [1, 2]) assert.equal(find(host, scheme), expected, `${host} ${time}`);
      }
    }
  });

  it("needs no look-up where there is one value", () => {
    assert.equal(table.only, null);
    const entries = [{ hosts: [], value: "x" }];
    assert.equal(new HostTable({ entries, otherwise: "other" }).only, "other");
  });

  it("gives the same answer for every spelling of a host", () => {
    const label = fc.stringMatching(/^[a-z0-9]{1,5}$/);
    const host = fc.oneof(
      fc.tuple(label, label).map(([a, b]) => `${a}.${b}`),
      label.map((a) => `${a}.example.org`),
      fc.constantFrom("example.com", "a.example.org", "[::1]", "127.0.0.1"),
    );
    fc.assert(
      fc.property(host, fc.boolean(), fc.boolean(), fc.nat(65_535), (name, upper, dot, port) => {
        const ends = dot && !name.startsWith("[") ? "." : "";
        const spelling = `${upper ? name.toUpperCase() : name}${ends}:${port}`;
        assert.equal(find(spelling), find(name));
      }),
    );
  });
});

describe("hostOf()", () => {
  it("leaves out scheme, port and one final dot", () => {
    const cases = {
      "http://example.com": "example.com",
      "https://example.com.:8443": "example.com",
      "https://[::1]:80": "[::1]",
      "http://[2001:db8::80]": "[2001:db8::80]",
    };
    for (const [origin, host] of Object.entries(cases)) assert.equal(hostOf(origin), host);
  });
});

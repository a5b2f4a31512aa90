import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isAllowedOrigin } from "../../runtime/sockets/origin.ts";

const OWN = "https://example.com:8443";

describe("isAllowedOrigin()", () => {
  const cases: [fields: string, allowed: "same" | "any" | string[], expected: boolean][] = [
    ["", "same", true],
    ["origin\nhttps://example.com:8443", "same", true],
    ["origin\nhttps://EXAMPLE.com:8443", "same", true],
    // Others on the way may have changed this page.
    ["origin\nhttp://example.com:8443", "same", false],
    ["origin\nhttps://example.com", "same", false],
    ["origin\nhttps://evil.example", "same", false],
    ["origin\nhttps://example.com:8443.evil.example", "same", false],
    ["origin\nhttps://evil.example?https://example.com:8443", "same", false],
    ["origin\nnull", "same", false],
    ["origin\n", "same", false],
    ["origin\nhttps://example.com:8443\norigin\nhttps://evil.example", "same", false],
    ["origin\nhttps://evil.example", "any", true],
    ["origin\nhttps://app.example", ["https://app.example"], true],
    ["origin\nhttp://app.example", ["https://app.example"], false],
    ["origin\nhttps://evil.example", ["https://app.example"], false],
    ["origin\nhttps://example.com:8443", ["https://app.example"], true],
  ];
  it("allows a page over HTTPS where a balancer ends TLS", () => {
    const options = { ownOrigin: "http://example.com", allowed: "same" } as const;
    assert.equal(isAllowedOrigin("origin\nhttps://example.com", options), true);
  });

  for (const [fields, allowed, expected] of cases) {
    it(`${expected ? "allows" : "refuses"} "${fields.replaceAll("\n", " ")}" for ${String(allowed)}`, () => {
      assert.equal(isAllowedOrigin(fields, { ownOrigin: OWN, allowed }), expected);
    });
  }
});

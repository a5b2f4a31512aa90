import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Canonical } from "../../runtime/rules/kind.ts";
import { createSite } from "./ask-rules.ts";

type Ports = ReturnType<Canonical["ports"]>;

const USUAL: Ports = { http: 80, https: 443 };
const HIGH: Ports = { http: 8080, https: 8443 };

/** Returns the place to which a request is sent; `null`: it is served. */
function locationOf(url: string, canonical: Partial<Canonical>, ports = USUAL): string | null {
  const { origin } = new URL(url);
  const ask = createSite([], { https: false, host: null, ports: () => ports, ...canonical });
  const { status, field } = ask({ origin, target: url.slice(origin.length) || "/" });
  assert.equal(status, field("location") === null ? 200 : 308);
  return field("location");
}

describe("redirectToCanonical", () => {
  const cases: [url: string, wanted: Partial<Canonical>, ports: Ports, location: string | null][] =
    [
      ["http://a.example/x?y=%20z", { https: true }, USUAL, "https://a.example/x?y=%20z"],
      ["https://a.example/x", { https: true }, USUAL, null],
      ["http://a.example:8080/", { https: true }, HIGH, "https://a.example:8443/"],
      ["http://[::1]:8080/", { https: true }, HIGH, "https://[::1]:8443/"],
      // A container behind forwarded ports, and a proxy that ends TLS.
      ["http://a.example/", { https: true }, HIGH, "https://a.example/"],
      ["http://a.example/", { https: true }, { http: 80, https: 8443 }, "https://a.example:8443/"],
      [
        "http://a.example:8080/",
        { https: true },
        { http: 8080, https: null },
        "https://a.example/",
      ],
      [
        "http://a.example/.well-known/acme-challenge/x",
        { https: true, host: "b.example" },
        USUAL,
        null,
      ],
      ["http://a.example//b.example/", { https: true }, USUAL, "https://a.example//b.example/"],
      ["http://www.a.example/x?y", { host: "a.example" }, USUAL, "http://a.example/x?y"],
      ["https://www.a.example:8443/x", { host: "a.example" }, HIGH, "https://a.example:8443/x"],
      ["https://a.example/x", { host: "a.example" }, USUAL, null],
      ["https://a.example./x", { host: "a.example" }, USUAL, null],
      ["http://a.example:8080/x", { host: "a.example" }, HIGH, null],
      ["http://www.a.example/x", { https: true, host: "a.example" }, USUAL, "https://a.example/x"],
    ];
  for (const [url, wanted, ports, location] of cases) {
    it(`sends ${url} to ${location}, with ${JSON.stringify({ ...wanted, ...ports })}`, () => {
      assert.equal(locationOf(url, wanted, ports), location);
    });
  }

  it("never leads a request to its own URL", () => {
    for (const [url, wanted, ports, location] of cases) {
      if (location === null) continue;
      assert.notEqual(location, url);
      assert.equal(locationOf(location, wanted, ports), null, location);
    }
  });

  it("has the fields of rules", () => {
    const canonical = { https: false, host: "a.example", ports: () => USUAL };
    const ask = createSite([{ security: true }], canonical);
    const { status, field } = ask({ origin: "https://www.a.example" });
    assert.equal(status, 308);
    assert.equal(field("strict-transport-security"), "max-age=31536000");
  });
});

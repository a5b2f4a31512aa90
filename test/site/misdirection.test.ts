import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Misdirection } from "../../runtime/site/misdirection.ts";

const both = { names: ["a.example"], covers: ["a.example", "b.example"] };
const own = { names: ["b.example"], covers: ["b.example"] };
const wild = { names: ["*.c.example"], covers: ["*.c.example"] };
const misdirection = new Misdirection([both, own, wild]);

describe("Misdirection", () => {
  it("finds hosts that another certificate has, and the one of the connection lacks", () => {
    const cases: [host: string, certificate: typeof both, isMisdirected: boolean][] = [
      ["a.example", both, false],
      // Browsers use a connection for all names of its certificate.
      ["b.example", both, false],
      ["a.example", own, true],
      ["A.example.:8443", own, true],
      ["x.c.example", wild, false],
      ["x.c.example", own, true],
      ["a.example", wild, true],
      // No certificate has it: its clients take any.
      ["x.y.c.example", own, false],
      ["unknown.example", own, false],
      ["[::1]", own, false],
    ];
    for (const [host, certificate, expected] of cases) {
      const { origin } = new URL(`https://${host}`);
      assert.equal(misdirection.isMisdirected(origin, certificate), expected, host);
    }
  });

  it("judges a certificate by its names after a reload has replaced it", () => {
    const old = { names: ["b.example"], covers: ["b.example"] };
    assert.equal(misdirection.isMisdirected("https://b.example", old), false);
    assert.equal(misdirection.isMisdirected("https://a.example", old), true);
  });
});

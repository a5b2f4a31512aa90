import assert from "node:assert/strict";
import { getCiphers } from "node:tls";
import { describe, it } from "node:test";
import { fromTlsNumber, toTlsNumber } from "../../runtime/lib/tls-facts.ts";

describe("toTlsNumber()", () => {
  it("gives a number from which the words of Workers follow", () => {
    const cases = [
      ["TLSv1.3", "TLS_AES_128_GCM_SHA256", "AEAD-AES128-GCM-SHA256"],
      ["TLSv1.3", "TLS_AES_256_GCM_SHA384", "AEAD-AES256-GCM-SHA384"],
      ["TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256", "AEAD-CHACHA20-POLY1305-SHA256"],
      ["TLSv1.3", "TLS_AES_128_CCM_SHA256", undefined],
      ["TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256"],
      ["TLSv1.2", "ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"],
      ["TLSv1.2", "TLS_AES_128_GCM_SHA256", undefined],
      ["TLSv1.2", "", undefined],
    ] as const;
    for (const [version, suite, cipher] of cases) {
      assert.deepEqual(fromTlsNumber(toTlsNumber(version, suite)), { version, cipher }, suite);
    }
  });

  it("gives 0 for a version that it does not know, which stands for nothing", () => {
    for (const version of [null, "TLSv1.1", "unknown"]) {
      assert.equal(toTlsNumber(version, "ECDHE-RSA-AES128-SHA"), 0);
    }
    for (const number of [0, -1, 1000, 1.5]) assert.equal(fromTlsNumber(number), null);
  });

  it("names no suite that OpenSSL does not have, and fits in a byte", () => {
    const suites = getCiphers().map((name) => name.toUpperCase());
    for (let number = 1; ; number++) {
      const facts = fromTlsNumber(number);
      if (facts === null) break;
      assert.ok(number < 128);
      if (facts.version === "TLSv1.2" && facts.cipher !== undefined) {
        assert.ok(suites.includes(facts.cipher), facts.cipher);
      }
    }
  });
});

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { describe, it } from "node:test";
import { makeCertificateRequest } from "../../runtime/acme/csr.ts";

describe("makeCertificateRequest()", () => {
  it("makes requests that OpenSSL verifies, of any length", () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    for (const count of [1, 2, 5, 100]) {
      const names = Array.from({ length: count }, (_, at) => `name-${at}.example.test`);
      const input = makeCertificateRequest(privateKey, names);
      const args = ["req", "-inform", "DER", "-verify", "-noout", "-text"];
      const { status, stdout, stderr } = spawnSync("openssl", args, { input });
      assert.equal(status, 0, String(stderr));
      assert.match(String(stderr), /verify OK/);
      const found = [...String(stdout).matchAll(/DNS:([\w.-]+)/g)].map(([, name]) => name);
      assert.deepEqual(found, names);
    }
  });
});

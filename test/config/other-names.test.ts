import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { findByOtherName, whyMissing } from "../../runtime/config/other-names.ts";
import { SETTING_NAMES } from "../../runtime/config/settings.ts";

describe("findByOtherName()", () => {
  const cases: [word: string, setting: string | null][] = [
    ["--port", "http"],
    ["PORT", "http"],
    ["client_max_body_size", "bodyLimit"],
    ["--graceful-timeout", "drainGrace"],
    ["timeoutMs", "requestTimeout"],
    ["toString", null],
    ["", null],
  ];
  for (const [word, setting] of cases) {
    it(`takes ${word} for ${setting}`, () => assert.equal(findByOtherName(word), setting));
  }

  it("knows settings of other servers that are left out for a reason", () => {
    for (const word of ["proxyProtocol", "proxy_protocol"]) {
      assert.match(whyMissing(word) ?? "", /trustedProxies/);
    }
    for (const word of ["toString", "port", ""]) assert.equal(whyMissing(word), null);
  });

  it("has no name that is a setting of ours", () => {
    for (const name of SETTING_NAMES) assert.equal(findByOtherName(name), null);
  });
});

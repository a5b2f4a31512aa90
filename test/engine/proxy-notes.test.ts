import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProxyNotes } from "../../runtime/engine/proxy-notes.ts";

describe("ProxyNotes", () => {
  it("tells once of a proxy, and once of names in fields of single sign-on", () => {
    const told: (readonly [field: string, message: string])[] = [];
    const notes = new ProxyNotes(({ field }, message) => told.push([field, message]));
    for (const field of ["host", "user-agent", "x-user-agent", "cookie", "x-username-hint"]) {
      notes.sawField(field);
    }
    assert.equal(told.length, 0);
    for (const field of ["via", "x-forwarded-for", "x-forwarded-user", "remote-user"]) {
      notes.sawField(field);
    }
    assert.deepEqual(
      told.map(([field]) => field),
      ["via", "x-forwarded-user"],
    );
    assert.match(told[0]?.[1] ?? "", /after less than 8 s .*keepalive_timeout 5s/);
    assert.match(told[1]?.[1] ?? "", /x-forwarded-user: .*"Jos".*ASCII/);
  });

  it("knows the fields of well-known proxies with single sign-on", () => {
    for (const field of [
      "remote-user",
      "remote-name",
      "remote-groups",
      "x-remote-user",
      "x-user",
      "x-forwarded-user",
      "x-forwarded-preferred-username",
      "x-auth-request-user",
      "x-authentik-username",
      "x-webauth-user",
    ]) {
      let isTold = false;
      new ProxyNotes(() => (isTold = true)).sawField(field);
      assert.ok(isTold, field);
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Account } from "../../runtime/server/account.ts";
import { mustLaunch, toSetprivArguments } from "../../runtime/server/launch-as-user.ts";

const APP: Account = { label: "app", uid: 33, gid: 44, entry: { name: "app", home: "/srv" } };

const ALL = (1n << 41n) - 1n;
const ROOT = { uid: 0, gid: 0, capabilities: ALL };

function without(...capabilities: number[]): bigint {
  return capabilities.reduce((mask, capability) => mask & ~(1n << BigInt(capability)), ALL);
}

describe("mustLaunch()", () => {
  it("is true for root, and false for the user itself", () => {
    assert.equal(mustLaunch(APP, { own: ROOT, label: "--user" }), true);
    const own = { uid: 33, gid: 44, capabilities: 0n };
    assert.equal(mustLaunch(APP, { own, label: "--user" }), false);
  });

  for (const own of [
    { uid: 34, gid: 44, capabilities: ALL },
    { uid: 33, gid: 33, capabilities: 0n },
  ]) {
    it(`refuses user ${own.uid} of group ${own.gid}`, () => {
      assert.throws(() => mustLaunch(APP, { own, label: "--user" }), {
        code: "ERR_CONFIG",
        message:
          `Cannot use --user: found a process of user ${own.uid} and group ${own.gid}, expected root, which alone can run the server as ` +
          "33 and 44 (start it as root, or as that user, or without the setting)",
      });
    });
  }

  for (const missing of [6, 7]) {
    it(`refuses root without the capability ${missing}`, () => {
      const own = { ...ROOT, capabilities: without(missing) };
      assert.throws(() => mustLaunch(APP, { own, label: "--user" }), /SETUID and SETGID/);
    });
  }
});

describe("toSetprivArguments()", () => {
  it("keeps the groups of an account, and the capability for low ports alone", () => {
    assert.equal(
      toSetprivArguments(APP, ROOT).join(" "),
      "--reuid 33 --regid 44 --init-groups --no-new-privs " +
        "--inh-caps -all,+net_bind_service --ambient-caps -all,+net_bind_service --",
    );
  });

  it("has no groups for a number without an entry, and no capability that root lacks", () => {
    const own = { ...ROOT, capabilities: without(10) };
    assert.equal(
      toSetprivArguments({ ...APP, entry: null }, own).join(" "),
      "--reuid 33 --regid 44 --clear-groups --no-new-privs --",
    );
  });
});

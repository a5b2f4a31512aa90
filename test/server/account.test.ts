import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Account, findAccount, type FindEntry } from "../../runtime/server/account.ts";

const ENTRIES: Readonly<Record<string, string>> = {
  "passwd app": "app:x:1001:1002:An app:/home/app:/bin/sh",
  "passwd 1001": "app:x:1001:1002:An app:/home/app:/bin/sh",
  "passwd root": "root:x:0:0:root:/root:/bin/sh",
  "group web": "web:x:33:app",
};

const find: FindEntry = (database, key) =>
  Promise.resolve(ENTRIES[`${database} ${key}`]?.split(":") ?? null);

const ENTRY = { name: "app", home: "/home/app" };

describe("findAccount()", () => {
  const accounts: [user: string, group: string | null, account: Account][] = [
    ["app", null, { label: "app", uid: 1001, gid: 1002, entry: ENTRY }],
    ["1001", null, { label: "1001", uid: 1001, gid: 1002, entry: ENTRY }],
    ["app", "web", { label: "app", uid: 1001, gid: 33, entry: ENTRY }],
    ["app", "77", { label: "app", uid: 1001, gid: 77, entry: ENTRY }],
    ["10001", "10002", { label: "10001", uid: 10_001, gid: 10_002, entry: null }],
  ];
  for (const [user, group, account] of accounts) {
    it(`finds user ${user} and group ${group}`, async () => {
      assert.deepEqual(await findAccount({ user, group, origins: {} }, { find }), account);
    });
  }

  const refusals: [user: string | null, group: string | null, message: string][] = [
    [null, "web", "Cannot use --group: found no user beside it, expected the setting user too"],
    ["ap", null, 'Cannot use --user: found no user "ap", expected a user of this system'],
    ["app", "wbe", 'Cannot use --group: found no group "wbe", expected a group of this system'],
    [
      "10001",
      null,
      "Cannot use --user: found the number 10001, which has no entry in the user database and so no group, expected the setting group too",
    ],
    [
      "root",
      null,
      "Cannot use --user: found root, expected another user, or no such setting to run as root",
    ],
    [
      "0",
      "web",
      "Cannot use --user: found root, expected another user, or no such setting to run as root",
    ],
  ];
  for (const [user, group, message] of refusals) {
    it(`refuses user ${user} with group ${group}`, async () => {
      const origins = { user: "--user", group: "--group" };
      await assert.rejects(findAccount({ user, group, origins }, { find }), {
        code: "ERR_CONFIG",
        message,
      });
    });
  }
});

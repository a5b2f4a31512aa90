import { execFile } from "node:child_process";
import type { Config } from "../config/config.ts";
import { RuntimeError } from "../lib/errors.ts";

/** A user and a group of the system. */
export interface Account {
  /** Name for messages: as the operator wrote it. */
  label: string;
  uid: number;
  gid: number;
  /** Entry of the user database; `null`: the number has none. */
  entry: { name: string; home: string } | null;
}

/** Returns the fields of one entry of the user or group database; `null`: there is none. */
export type FindEntry = (database: "passwd" | "group", key: string) => Promise<string[] | null>;

/**
 * Finds the account that `user` and `group` name.
 *
 * @param options.find Default: asks `getent`, which knows all sources of accounts that the system uses.
 * @throws RuntimeError `ERR_CONFIG` for a name without an entry, for a user without a group, and for root.
 */
export async function findAccount(
  { user, group, origins }: Pick<Config, "user" | "group" | "origins">,
  { find = askGetent }: { find?: FindEntry } = {},
): Promise<Account> {
  const groupLabel = origins.group ?? "group";
  const userLabel = origins.user ?? "user";
  if (user === null) {
    throw refusal(groupLabel, "no user beside it", "the setting user too");
  }
  const entry = await find("passwd", user);
  if (entry === null && !isNumber(user)) {
    throw refusal(userLabel, `no user ${JSON.stringify(user)}`, "a user of this system");
  }
  // The fields are name:password:uid:gid:comment:home:shell (passwd(5)).
  const [name = user, , uid = user, ownGid, , home = "/"] = entry ?? [];
  if (Number(uid) === 0) {
    throw refusal(userLabel, "root", "another user, or no such setting to run as root");
  }
  const gid = group === null ? ownGid : await findGroup(group, { find, label: groupLabel });
  if (gid === undefined) {
    const found = `the number ${user}, which has no entry in the user database and so no group`;
    throw refusal(userLabel, found, "the setting group too");
  }
  return {
    label: user,
    uid: Number(uid),
    gid: Number(gid),
    entry: entry === null ? null : { name, home },
  };
}

async function findGroup(
  group: string,
  { find, label }: { find: FindEntry; label: string },
): Promise<string> {
  // The fields are name:password:gid:members (group(5)).
  const gid = (await find("group", group))?.[2] ?? (isNumber(group) ? group : undefined);
  if (gid !== undefined) return gid;
  throw refusal(label, `no group ${JSON.stringify(group)}`, "a group of this system");
}

/** Exit code of getent for a key without an entry. */
const NOT_FOUND = 2;

function askGetent(database: string, key: string): Promise<string[] | null> {
  return new Promise((resolve, reject) => {
    execFile("getent", [database, key], { timeout: 10_000 }, (error, stdout) => {
      if (error === null) resolve(stdout.trimEnd().split(":"));
      else if (error.code === NOT_FOUND) resolve(null);
      else {
        const message = `Cannot look up ${JSON.stringify(key)}: getent failed (${error.message.trim()}), expected this program of the system's C library`;
        reject(new RuntimeError("ERR_CONFIG", message, { cause: error }));
      }
    });
  });
}

function isNumber(text: string): boolean {
  return /^\d+$/.test(text);
}

function refusal(label: string, found: string, expected: string): RuntimeError {
  return new RuntimeError(
    "ERR_CONFIG",
    `Cannot use ${label}: found ${found}, expected ${expected}`,
  );
}

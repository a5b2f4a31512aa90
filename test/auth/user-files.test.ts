import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import pino from "pino";
import { PasswordChecks } from "../../runtime/auth/password-checks.ts";
import { UserFiles } from "../../runtime/auth/user-files.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const ANN = "ann:$apr1$r31....x$Jes0CdiVJZdAL8kbFK200/\n";

describe("UserFiles", () => {
  it("keeps the list of a file that did not change, and refuses a reload with a mistake", async (t) => {
    const files = new UserFiles(pino({ enabled: false }), new PasswordChecks());
    t.after(() => files.close());
    const dir = temporaryFolder(t);
    const path = join(dir, "users");
    const use = async (): Promise<void> => {
      const prepared = await files.prepare([path, path], { publicDirs: [] });
      prepared?.commit();
    };
    writeFileSync(path, ANN);
    await use();
    const first = files.listOf(path);
    assert.deepEqual([...first.users.keys()], ["ann"]);
    await use();
    assert.equal(files.listOf(path), first);
    writeFileSync(path, "bob:secret");
    await assert.rejects(use, /users:1: found a password in plain text/);
    assert.equal(files.listOf(path), first);
    writeFileSync(path, ANN.replace("ann", "bob"));
    await use();
    assert.deepEqual([...files.listOf(path).users.keys()], ["bob"]);
    assert.throws(() => files.listOf(join(dir, "other")), TypeError);
    (await files.prepare([], { publicDirs: [] }))?.commit();
    assert.throws(() => files.listOf(path), TypeError);
    assert.equal(await files.prepare([], { publicDirs: [] }), null);
  });

  it("refuses files that are missing or that clients can read", async (t) => {
    const files = new UserFiles(pino({ enabled: false }), new PasswordChecks());
    const dir = temporaryFolder(t);
    for (const name of ["users", ".htpasswd"]) writeFileSync(join(dir, name), ANN);
    const prepare = (name: string, publicDirs: string[]): Promise<unknown> =>
      files.prepare([join(dir, name)], { publicDirs });
    await assert.rejects(prepare("none", []), /none: found ENOENT.*expected a file of htpasswd/);
    await assert.rejects(prepare("users", [dir]), /users: found it in a public folder/);
    for (const publicDir of [join(dir, "public"), join(dir, "use")]) {
      assert.notEqual(await prepare("users", [publicDir]), null);
    }
    assert.notEqual(await prepare(".htpasswd", [dir]), null);
  });
});

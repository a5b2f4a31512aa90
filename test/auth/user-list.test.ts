import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { PasswordChecks } from "../../runtime/auth/password-checks.ts";
import { UserList } from "../../runtime/auth/user-list.ts";

const HASH_THREAD = new URL("../helpers/hash-thread.mjs", import.meta.url);

/** The password of both is "secret". */
const USERS = new Map([
  ["ann", "$apr1$r31....x$Jes0CdiVJZdAL8kbFK200/"],
  ["bob", "$1$abc$iCQ2D3nhptRYi27fDYv2s1"],
]);

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
}

/** Counts comparisons, and makes them in a thread. */
class CountedChecks extends PasswordChecks {
  count = 0;

  override verify(
    ...args: Parameters<PasswordChecks["verify"]>
  ): ReturnType<PasswordChecks["verify"]> {
    this.count++;
    return super.verify(...args);
  }
}

describe("UserList", () => {
  const checks = new CountedChecks(HASH_THREAD);
  after(() => checks.close());

  it("compares each credential once, also for many requests at a time", async () => {
    const list = new UserList(USERS, checks);
    checks.count = 0;
    const right = basic("ann", "secret");
    const verdicts = await Promise.all(
      Array.from({ length: 200 }, async () => list.check(right, "c")),
    );
    assert.ok(verdicts.every((verdict) => verdict.kind === "user" && verdict.user === "ann"));
    assert.deepEqual(list.check(right, "c"), { kind: "user", user: "ann" });
    assert.equal(checks.count, 1);
    assert.deepEqual(await list.check(basic("ann", "wrong"), "c"), { kind: "wrong" });
    assert.deepEqual(list.check(basic("ann", "wrong"), "c"), { kind: "wrong" });
    assert.equal(checks.count, 2);
    assert.deepEqual(await list.check(basic("bob", "secret"), "c"), { kind: "user", user: "bob" });
  });

  it("compares a hash for an unknown user, too, and never admits it", async () => {
    const list = new UserList(USERS, checks);
    checks.count = 0;
    for (const user of ["", "eve", "Ann", "__proto__", "constructor"]) {
      assert.deepEqual(await list.check(basic(user, "secret"), "c"), { kind: "wrong" }, user);
    }
    assert.equal(checks.count, 5);
  });

  it("refuses without a comparison where there is nothing to compare", () => {
    const list = new UserList(USERS, checks);
    checks.count = 0;
    const values = ["", "Basic", "Basic !", "Bearer abc", `Digest ${basic("ann", "secret")}`];
    const encoded = ["no colon", "a\0b:secret", "ann:sec\nret", `ann:${"x".repeat(513)}`];
    for (const value of [
      ...values,
      ...encoded.map((text) => `Basic ${Buffer.from(text).toString("base64")}`),
    ]) {
      assert.deepEqual(list.check(value, "c"), { kind: "wrong" }, value);
    }
    assert.deepEqual(new UserList(new Map(), checks).check(basic("a", "b"), "c"), {
      kind: "wrong",
    });
    assert.equal(checks.count, 0);
  });
});

describe("PasswordChecks", () => {
  const question = { password: "secret", hash: "$apr1$r31....x$Jes0CdiVJZdAL8kbFK200/" };

  it("bounds the comparisons of one client and of all, and serves clients in turns", async () => {
    const checks = new PasswordChecks(HASH_THREAD);
    const order: string[] = [];
    const ask = async (client: string): Promise<string> => {
      const verdict = await checks.verify(question, client);
      if (verdict === "right") order.push(client);
      return verdict;
    };
    const greedy = Array.from({ length: 10 }, () => ask("greedy"));
    const other = ask("other");
    const verdicts = await Promise.all(greedy);
    // One runs, four wait.
    assert.equal(verdicts.filter((verdict) => verdict === "right").length, 5);
    assert.equal(verdicts.filter((verdict) => verdict === "client-busy").length, 5);
    assert.equal(await other, "right");
    assert.ok(order.indexOf("other") <= 2, order.join());
    const many = Array.from({ length: 200 }, (_, at) => checks.verify(question, `client ${at}`));
    const counts = (await Promise.all(many)).filter((verdict) => verdict === "busy").length;
    assert.equal(counts, 200 - 128 - 1);
    await checks.close();
  });

  it("fails comparisons that wait when it closes, and then begins anew", async () => {
    const checks = new PasswordChecks(HASH_THREAD);
    const failing = checks.verify(question, "a");
    const failed = assert.rejects(failing, /closed/);
    await checks.close();
    await failed;
    assert.equal(await checks.verify(question, "a"), "right");
    await checks.close();
  });
});

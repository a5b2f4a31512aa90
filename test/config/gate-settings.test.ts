import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readRules, type RuleSetting } from "../../runtime/config/rule-settings.ts";

const HASH = "$apr1$r31....x$Jes0CdiVJZdAL8kbFK200/";

/** Returns the checked rule, and `key: expected` of each problem. */
function read(action: object): { setting: RuleSetting | undefined; problems: string[] } {
  const problems: string[] = [];
  const refuse = (key: string, value: unknown, expected: string): void => {
    problems.push(`${key}: ${expected}`);
    assert.doesNotMatch(JSON.stringify(value), /secret/, "no message shows a password");
  };
  const [setting] = readRules([action], { key: "rules", folder: "/etc/edgicorn", refuse });
  return { setting, problems };
}

describe("rateLimit, concurrencyLimit, basicAuth and forwardAuth", () => {
  it("have short and long forms", () => {
    const limit = { rate: { requests: 100, windowMs: 60_000 }, burst: 100, dryRun: false };
    const address = { ...limit, key: "address" };
    const cases: [action: object, setting: object][] = [
      [{ rateLimit: "100/min" }, { rateLimit: address }],
      [{ rateLimit: { rate: "100/min" } }, { rateLimit: address }],
      [
        { rateLimit: { rate: "100/min", burst: 5, key: { header: "X-Key" }, dryRun: true } },
        { rateLimit: { ...limit, burst: 5, key: { header: "x-key" }, dryRun: true } },
      ],
      [{ concurrencyLimit: 9 }, { concurrencyLimit: { most: 9, key: "address" } }],
      [
        { concurrencyLimit: { most: 9, key: "site" } },
        { concurrencyLimit: { most: 9, key: "site" } },
      ],
      [
        { basicAuth: { file: "users" } },
        { basicAuth: { kind: "file", path: "/etc/edgicorn/users", realm: "Restricted" } },
      ],
      [
        { basicAuth: { users: { ann: HASH }, realm: "Staff only" } },
        { basicAuth: { kind: "users", users: [["ann", HASH]], realm: "Staff only" } },
      ],
      [{ basicAuth: "off" }, { basicAuth: { kind: "off" } }],
      [{ forwardAuth: false }, { forwardAuth: { kind: "off" } }],
      [
        { forwardAuth: "/check?a" },
        {
          forwardAuth: {
            kind: "on",
            url: "/check?a",
            copy: [],
            copyToReply: [],
            requestFields: null,
            timeoutMs: 5_000,
          },
        },
      ],
      [
        {
          forwardAuth: {
            url: "http://127.0.0.1:9/a",
            copy: ["X_User", "X-Email"],
            copyToReply: ["Set-Cookie"],
            requestFields: ["Cookie"],
            timeout: "500ms",
          },
        },
        {
          forwardAuth: {
            kind: "on",
            url: "http://127.0.0.1:9/a",
            copy: ["x-user", "x-email"],
            copyToReply: ["set-cookie"],
            requestFields: ["cookie"],
            timeoutMs: 500,
          },
        },
      ],
    ];
    for (const [action, expected] of cases) {
      const { setting, problems } = read(action);
      assert.deepEqual(problems, []);
      assert.ok(setting !== undefined);
      const { key: _, when: __, ...actions } = setting;
      assert.deepEqual(actions, expected);
    }
  });

  it("name each value that is wrong", () => {
    const cases: [action: object, ...problems: RegExp[]][] = [
      [{ rateLimit: 100 }, /^rules\[0\]\.rateLimit: a rate such as/],
      [{ rateLimit: "100" }, /rateLimit\.rate: a rate such as "100\/min"/],
      [{ rateLimit: { rate: "1/s", burts: 1 } }, /rateLimit\.burts: "burst"/],
      [{ rateLimit: { rate: "1/s", burst: 0 } }, /rateLimit\.burst: a whole number from 1/],
      [{ rateLimit: { rate: "1/s", key: "ip" } }, /rateLimit\.key: "address", "site", /],
      [{ rateLimit: { rate: "1/s", key: { header: "a b" } } }, /rateLimit\.key/],
      [{ rateLimit: { rate: "1/s", key: { header: "a", cookie: "b" } } }, /rateLimit\.key/],
      [{ rateLimit: { rate: "1/s", dryRun: "yes" } }, /rateLimit\.dryRun: true or false/],
      [{ concurrencyLimit: 0 }, /concurrencyLimit: a whole number from 1/],
      [{ concurrencyLimit: { most: 1.5 } }, /concurrencyLimit\.most: a whole number/],
      [{ concurrencyLimit: "10" }, /concurrencyLimit: a whole number/],
      [{ basicAuth: true }, /basicAuth: \{ file: "htpasswd" \}/],
      [{ basicAuth: {} }, /basicAuth: either "file" or "users"/],
      [{ basicAuth: { file: "a", users: { ann: "secret" } } }, /either "file" or "users"/],
      [{ basicAuth: { file: "" } }, /basicAuth\.file: the path/],
      [{ basicAuth: { file: "a", realm: 'a"b' } }, /basicAuth\.realm: printable ASCII/],
      [{ basicAuth: { users: {} } }, /basicAuth\.users: hashes by user name/],
      [
        { basicAuth: { users: { ann: "secret", bob: HASH, "a:b": HASH } } },
        /basicAuth\.users\["ann"\]: a hash of htpasswd .* not a password in plain text/,
        /basicAuth\.users\["a:b"\]: .* not a user name with a colon/,
      ],
      [{ forwardAuth: 7 }, /forwardAuth: a URL such as/],
      [{ forwardAuth: "ftp://a/" }, /forwardAuth: a URL such as/],
      [{ forwardAuth: "http://user:secre@a/" }, /forwardAuth: a URL such as/],
      [{ forwardAuth: { url: "check" } }, /forwardAuth\.url: a URL such as/],
      [{ forwardAuth: { url: "/a", copy: ["a b"] } }, /forwardAuth\.copy: a list of field names/],
      [{ forwardAuth: { url: "/a", copy: ["Host"] } }, /forwardAuth\.copy: fields other than/],
      [
        { forwardAuth: { url: "/a", copyToReply: ["date", "te"] } },
        /copyToReply: fields other than/,
      ],
      [{ forwardAuth: { url: "/a", requestFields: 7 } }, /forwardAuth\.requestFields: a list/],
      [{ forwardAuth: { url: "/a", timeout: "5m" } }, /forwardAuth\.timeout: a time up to 60 s/],
      [{ forwardAuth: { url: "/a", timeout: 5 } }, /forwardAuth\.timeout/],
      [{ forwardAuth: { url: "/a", cpoy: [] } }, /forwardAuth\.cpoy: "copy"/],
    ];
    for (const [action, ...expected] of cases) {
      const { problems } = read(action);
      assert.equal(
        problems.length,
        expected.length,
        `${JSON.stringify(action)}: ${problems.join()}`,
      );
      for (const [at, pattern] of expected.entries()) assert.match(problems[at] ?? "", pattern);
    }
  });
});

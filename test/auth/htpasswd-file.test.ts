import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseHtpasswd } from "../../runtime/auth/htpasswd-file.ts";

const MD5 = "$apr1$r31....x$Jes0CdiVJZdAL8kbFK200/";
const BCRYPT = "$2y$10$abcdefghijklmnopqrstuuZVEMa1pjhlynBQ1qXmSvGBJpN9h1w8G";
const SHA1 = "{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=";

describe("parseHtpasswd()", () => {
  it("reads users, comments, empty lines and further fields", () => {
    const text = `# users\r\n\nann:${MD5}\r\nbob smith:${BCRYPT}:comment\n  \njürgen:${SHA1}`;
    const result = parseHtpasswd(text, "users");
    assert.ok(result.ok);
    assert.deepEqual(
      [...result.users],
      [
        ["ann", MD5],
        ["bob smith", BCRYPT],
        ["jürgen", SHA1],
      ],
    );
    assert.deepEqual(result.warnings, [
      "users:6: {SHA} is a hash that is fast to guess: use htpasswd -B",
    ]);
  });

  it("names the line of each problem, and never the password", () => {
    const cases: [line: string, problem: RegExp][] = [
      ["ann:secret", /plain text/],
      ["ann:rqXexS6ZhobKA", /crypt\(3\)/],
      ["ann:", /plain text/],
      ["ann", /found no ":"/],
      [`:${MD5}`, /no user name/],
      [`a\tb:${MD5}`, /control character/],
      [`ann:${BCRYPT.replace("10", "16")}`, /cost 16, above 15/],
      [`ann:${BCRYPT.replace("10", "03")}`, /cost 3/],
      [`ann:$6$rounds=9999999$a$${"x".repeat(86)}`, /9999999 rounds/],
      [`ann:${BCRYPT.slice(0, -1)}`, /malformed/],
      [`ann:$2x$10$${"a".repeat(53)}`, /unknown kind/],
      [`ann:${MD5}x`, /malformed/],
      ["ann:{SSHA}abcdef", /unknown kind/],
      [`bob:${MD5}`, /"bob" again/],
    ];
    for (const [line, problem] of cases) {
      const result = parseHtpasswd(`bob:${MD5}\n${line}\n`, "etc/users");
      assert.ok(!result.ok, line);
      const [only = ""] = result.problems;
      assert.equal(result.problems.length, 1);
      assert.match(only, problem);
      assert.match(only, /^etc\/users:2: found .*, expected /);
      assert.doesNotMatch(only, /secret|rqXex|r31/);
    }
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readRules } from "../../runtime/config/rule-settings.ts";

/** `key: expected` of each problem. */
function problems(rules: unknown): string[] {
  const found: string[] = [];
  readRules(rules, "rules", (key, _, expected) => found.push(`${key}: ${expected}`));
  return found;
}

describe("readRules()", () => {
  it("names every key that is wrong, and its expected value", () => {
    assert.deepEqual(problems({}), [
      'rules: a list of rules: [{ path: "/old", redirect: "/new" }]',
    ]);
    const rules = [
      7,
      {},
      { paht: "/", respond: {} },
      { path: ["/a", "b"], method: "a b", host: "https://a", respond: {} },
      { path: [], address: "10.0.0.0/33", scheme: "ftp", respond: {} },
      { path: "/admin/*", header: { "a b": "1", c: 1 }, query: "a", respond: {} },
      { respond: { status: 100 } },
      { respond: { body: 1, stauts: 200 } },
      { respond: { fields: { "x-a": "1\n2", "content-length": "1", "x y": "1", "x-b": 1 } } },
    ];
    const path =
      'a path such as "/about", "/users/:id", "/assets/*.css" or "/admin/**" (all below it)';
    const address = 'an address or a range such as "10.0.0.0/8", "192.168.1.7" or "2001:db8::/32"';
    assert.deepEqual(
      problems(rules).map((problem) => problem.replace(/an action: .*/, "an action")),
      [
        'rules[0]: an object: { path: "/old", redirect: "/new" }',
        "rules[1]: an action",
        'rules[2].paht: "path"',
        `rules[3].path[1]: ${path}`,
        'rules[3].method: a method such as "POST"',
        'rules[3].host: a host name such as "example.com" or "*.example.com"',
        'rules[4].scheme: "http" or "https"',
        'rules[4].path: a path such as "/about"',
        `rules[4].address: ${address}`,
        'rules[5].path: "/admin/**" (all below it) or "/admin/:name" (one segment)',
        'rules[5].header["c"]: a text, or true (present) or false (absent)',
        "rules[5].header: names of header fields",
        'rules[5].query: an object: { "x-api-version": "2" }',
        "rules[6].respond.status: a whole number from 200 to 599",
        'rules[7].respond.stauts: "status"',
        "rules[7].respond.body: a text",
        'rules[8].respond.fields["x-a"]: a text without line breaks and characters above U+00FF',
        'rules[8].respond.fields["content-length"]: a field other than those of framing and connection',
        'rules[8].respond.fields["x y"]: a name of a header field',
        'rules[8].respond.fields["x-b"]: a text',
      ],
    );
  });
});

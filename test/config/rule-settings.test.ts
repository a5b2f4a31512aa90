import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readRules } from "../../runtime/config/rule-settings.ts";

/** `key: expected` of each problem. */
function problems(rules: unknown): string[] {
  const found: string[] = [];
  const refuse = (key: string, _: unknown, expected: string): void => {
    found.push(`${key}: ${expected}`);
  };
  readRules(rules, { key: "rules", folder: import.meta.dirname, refuse });
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
      { path: "/**", respond: { status: 100 } },
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
        'rules[3].host: a host name without a port, such as "example.com", "*.example.com" (one label) or "[::1]"',
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

  it("names what is wrong with an action", () => {
    const cases: [action: object, expected: string][] = [
      [{ redirect: 7 }, 'redirect: a path such as "/new/:id", or a URL'],
      [{ redirect: "//evil.example" }, 'redirect: a path such as "/new/:id", or a URL'],
      [{ redirect: "/\\evil.example" }, "redirect: a path"],
      [{ redirect: "javascript:alert(1)" }, "redirect: a path"],
      [{ redirect: "https://:id.example/" }, "redirect: a path"],
      [{ redirect: "https://user@a.example/" }, "redirect: a path"],
      [{ redirect: "/a b" }, "redirect: a path"],
      [{ redirect: "/x/:other" }, "redirect: :id as parameters, since its path has no other"],
      [{ redirect: { to: "/x", status: 200 } }, "redirect.status: 301, 302, 303, 307, 308"],
      [{ redirect: { to: "x" } }, "redirect.to: a path"],
      [{ redirect: { to: "/x", too: "/x" } }, 'redirect.too: "to"'],
      [{ rewrite: "https://a.example/" }, 'rewrite: a path such as "/new/:id"'],
      [{ rewrite: "/:splat" }, "rewrite: :id as parameters"],
      [{ setFields: { "x-a": "a\nb" } }, 'setFields["x-a"]: a text without'],
      [{ removeFields: "a b" }, "removeFields: a name of a header field"],
      [{ setRequestFields: { host: "a" } }, "setRequestFields: other fields than host"],
      [{ removeRequestFields: ["Content-Length"] }, "removeRequestFields: other fields than"],
      [{ allow: [] }, "allow: an address or a range"],
      [{ deny: ["10.0.0.0/8", "10.0.0/8"] }, "deny[1]: an address or a range"],
      [{ deny: "::ffff:0:0/64" }, "deny: an address or a range"],
      [{ maintenance: { file: "missing.html" } }, "maintenance.file: a text file that can be read"],
      [{ maintenance: { file: "." } }, 'maintenance.file: a file such as "maintenance.html"'],
      [{ maintenance: { retryAfter: 5 } }, "maintenance.retryAfter: a duration"],
      [{ maintenance: { allow: "a" } }, "maintenance.allow: an address"],
      [{ security: { hsts: "1 year" } }, "security.hsts: true, false, or a value such as"],
      [{ security: { frame: "any" } }, 'security.frame: "deny", "same-origin" or false'],
      [{ security: { hst: true } }, 'security.hst: "hsts"'],
      [{ cors: "*" }, "cors: true (every origin), or an object"],
      [{ cors: { origins: "a.example" } }, "cors.origins: an origin such as"],
      [{ cors: { origins: ["https://a.example/x"] } }, "cors.origins[0]: an origin such as"],
      [{ cors: { credentials: true } }, "cors.origins: a list of origins"],
      [{ errorPages: "/404.html" }, "errorPages: an object"],
      [{ errorPages: { "200": "/a" } }, 'errorPages["200"]: a status such as "404" or "5xx"'],
      [{ errorPages: { "5xx": "a" } }, 'errorPages["5xx"]: the path of a page'],
      [{ accessLog: "off" }, "accessLog: true or false"],
      [{ bodyLimit: "many" }, "bodyLimit: a size from 1 byte"],
      [{ requestTimeout: 5 }, "requestTimeout: a duration"],
      [{ method: "GET", cors: true }, "method: no condition on the method"],
      [{ cors: { maxAge: "1 day" } }, "cors.maxAge: a duration"],
    ];
    for (const [action, expected] of cases) {
      const found = problems([{ path: "/u/:id", ...action }]);
      assert.equal(found.length, 1, `${JSON.stringify(action)}: ${found.join("; ")}`);
      assert.ok(found[0]?.startsWith(`rules[0].${expected}`), `${found[0]} is no ${expected}`);
    }
  });
});

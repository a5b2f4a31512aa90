import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { readRules } from "../../runtime/config/rule-settings.ts";
import type { UserRule } from "../../runtime/config/user-config.ts";
import { createSite, type Question } from "./ask-rules.ts";

const OWN = "https://own.example";

describe("redirect", () => {
  const cases: [rule: UserRule, question: Question | string, location: string | null][] = [
    [{ path: "/old", redirect: "/new" }, "/old?a=%20b&c", "/new?a=%20b&c"],
    [{ path: "/old", redirect: "/new" }, { target: "/old", method: "POST" }, "/new"],
    [{ path: "/old/**", redirect: "/new/:splat" }, "/old/a/b%20c/", "/new/a/b%20c/"],
    [{ path: "/old/**", redirect: "/new/:splat" }, "/old", "/new/"],
    [
      { path: "/u/:id", redirect: "https://b.example/x/:id?i=:id#:id" },
      "/u/a%26b&c?d",
      "https://b.example/x/a&b&c?i=a%26b%26c&d#:id",
    ],
    [{ path: "/a", redirect: "/b?x=1" }, "/a?y=2", "/b?x=1&y=2"],
    [{ path: "/a", redirect: "/b?" }, "/a?y=2", "/b"],
    [{ path: ["/a/:x", "/b/:x"], redirect: "/c/:x.html" }, "/b/7", "/c/7.html"],
    [{ redirect: "https://new.example/" }, "/x?y", "https://new.example/?y"],
    // No redirect leads to another host than the rule names.
    [{ path: "/old/**", redirect: "/:splat" }, "/old//evil.example/", "/evil.example/"],
    [{ path: "/old/**", redirect: "/:splat" }, "/old/%5cevil.example", "/%5Cevil.example"],
    [{ path: "/old/**", redirect: "/:splat" }, "/old/%2Fevil.example", "/%2Fevil.example"],
    [{ path: "/old/**", redirect: "/:splat" }, "/old/%0d%0aset-cookie:x", "/%0D%0Aset-cookie%3Ax"],
    // A redirect to the URL of the request is none.
    [{ redirect: "/a" }, "/a", null],
    [{ redirect: "/a" }, "/b", "/a"],
    [{ redirect: "https://a.example/" }, { origin: "https://a.example" }, null],
    [{ redirect: "https://a.example/" }, { origin: "http://a.example" }, "https://a.example/"],
    [{ path: "/x/**", redirect: "/x/:splat" }, "/x/y?z", null],
  ];
  for (const [rule, question, location] of cases) {
    it(`${JSON.stringify(rule.redirect)} sends ${JSON.stringify(question)} to ${location}`, () => {
      const result = createSite([rule])(question);
      assert.equal(result.status, location === null ? 200 : 308);
      assert.equal(result.field("location"), location);
    });
  }

  it("leads to the host of the rule only, for every rule that the check accepts", () => {
    const parts = [
      "/",
      "/a",
      ":id",
      ":splat",
      "**",
      "*",
      "//",
      "?",
      "#",
      "\\",
      "%2F",
      "%zz",
      "..",
      "@",
    ];
    const text = fc.array(fc.constantFrom(...parts), { maxLength: 5 }).map((all) => all.join(""));
    const start = fc.constantFrom("/", "https://a.example/", "https://a.example");
    const targets = ["/", "/a", "/a//evil.example", "/a/%5cevil", "/a%2Fb?c", "/a/..%2f/b", "/%zz"];
    const rule = fc.record({ path: text, first: start, end: text });
    fc.assert(
      fc.property(rule, fc.constantFrom(...targets), ({ path, first, end }, target) => {
        const to = first + end;
        const one: UserRule = { path: `/${path}`, redirect: to };
        let isRefused = false;
        const refuse = (): void => void (isRefused = true);
        readRules([one], { key: "rules", folder: "/", refuse });
        if (isRefused) return;
        const location = createSite([one])(target).field("location");
        if (location === null) return;
        assert.equal(new URL(location, OWN).host, new URL(to, OWN).host, location);
      }),
      { numRuns: 2000 },
    );
  });

  it("has the status of the first rule that redirects elsewhere", () => {
    const ask = createSite([
      { path: "/a", redirect: "/a" },
      { redirect: { to: "/a", status: 302 } },
      { redirect: { to: "/c", status: 301 } },
    ]);
    assert.deepEqual([ask("/b").status, ask("/b").field("location")], [302, "/a"]);
    assert.deepEqual([ask("/a").status, ask("/a").field("location")], [301, "/c"]);
  });
});

describe("rewrite", () => {
  const cases: [rule: UserRule, target: string, served: string][] = [
    [{ path: "/blog/:id", rewrite: "/posts?id=:id" }, "/blog/a%26b?x=1", "/posts?id=a%26b&x=1"],
    [{ path: "/v1/**", rewrite: "/:splat" }, "/v1/a/b/", "/a/b/"],
    [{ path: "/v1/**", rewrite: "/:splat" }, "/v1", "/"],
    [{ path: "/a/:b/:c", rewrite: "/d/:b:c" }, "/a/./b/.", "/a/b/"],
  ];
  for (const [rule, target, served] of cases) {
    it(`serves ${target} as ${served}`, () => {
      assert.equal(createSite([rule])(target).served?.target, served);
    });
  }

  it("leads past no gate of the new path", () => {
    const ask = createSite([
      { path: "/open/**", rewrite: "/:splat" },
      { path: "/admin/**", deny: "127.0.0.1" },
      { path: "/down/**", maintenance: true },
    ]);
    assert.equal(ask("/open/x").status, 200);
    assert.equal(ask("/open/admin/x").status, 403);
    assert.equal(ask("/open/%61dmin").status, 403);
    assert.equal(ask("/open/down").status, 503);
    assert.equal(ask("/open/admin%2Fx").status, 400);
    assert.equal(ask("/open//admin/x").status, 403);
  });

  it("leads past no fixed answer, and past no rule that is off for the first path", () => {
    const credentials = { users: { ann: "{SHA}qUqP5cyxm6YcTAhz05Hph5gvu9M=" } };
    const ask = createSite([
      { path: "/open/**", rewrite: "/:splat", basicAuth: "off" },
      { path: "/admin/**", respond: { status: 403 } },
      { basicAuth: credentials },
      { path: "/staff/**", basicAuth: { ...credentials, realm: "never asked" } },
    ]);
    assert.equal(ask("/open/admin").status, 401);
    assert.equal(ask("/open/x").status, 401);
    // The first rule wins for the new path as for each path.
    assert.match(ask("/open/staff").field("www-authenticate") ?? "", /realm="(?!never)/);
    const open = createSite([
      { path: "/open/**", rewrite: "/:splat" },
      { path: "/admin/**", respond: { status: 403 } },
    ]);
    assert.equal(open("/open/admin/x").status, 403);
    assert.equal(open("/open/x").status, 200);
  });
});

describe("fields of replies", () => {
  const site: UserRule = {
    setFields: { "X-A": "site", "x-b": "site" },
    appendFields: { link: "</a>" },
    security: true,
  };

  it("merge from rule to rule, and the last one wins", () => {
    const ask = createSite([
      site,
      { path: "/r/**", setFields: { "x-a": "route" }, appendFields: { link: "</b>" } },
      { path: "/r/no", removeFields: "x-b" },
    ]);
    assert.equal(ask("/").field("x-a"), "site");
    assert.equal(ask("/r").field("x-a"), "route");
    assert.equal(ask("/r").field("x-b"), "site");
    assert.equal(ask("/r").field("link"), "</a>, </b>");
    assert.equal(ask("/r/no").field("x-b"), null);
    assert.equal(ask("/r").field("x-content-type-options"), "nosniff");
  });

  it("are on every reply: of a rule, a refusal, and a path with several readings", () => {
    const ask = createSite([
      site,
      {
        path: "/gone",
        respond: { status: 410, fields: { "x-a": "own", "x-frame-options": "DENY" } },
      },
      { path: "/no/**", deny: "127.0.0.1", setFields: { "x-c": "1" } },
      { path: "/old", redirect: "/" },
    ]);
    const statuses = ["/gone", "/no", "/no%2F", "/old"].map((target) => {
      const { status, field } = ask(target);
      assert.equal(field("x-a"), "site", target);
      return status;
    });
    assert.deepEqual(statuses, [410, 403, 400, 308]);
    // The preset leaves a field that the reply has.
    assert.equal(ask("/gone").field("x-frame-options"), "DENY");
    assert.equal(ask("/no%2F").field("x-c"), null);
  });

  it("keep Vary in one line", () => {
    const ask = createSite([
      { appendFields: { vary: "Accept, X-A" } },
      { cors: { origins: ["https://a.example"] } },
      { path: "/x", respond: { fields: { vary: "x-a" } } },
    ]);
    assert.match(ask("/x").fields, /(?:^|\n)vary\nx-a, accept, origin$/);
    assert.match(ask("/").fields, /(?:^|\n)vary\naccept, x-a, origin$/);
  });

  it("have HSTS only over TLS", () => {
    const hsts = { "strict-transport-security": "max-age=1" };
    for (const rule of [{ security: true }, { setFields: hsts }, { appendFields: hsts }] as const) {
      const ask = createSite([rule, { setFields: { "x-a": "1" } }]);
      const field = "strict-transport-security";
      assert.match(ask({ origin: "https://a.example" }).field(field) ?? "", /^max-age=/);
      assert.equal(ask({ origin: "http://a.example" }).field(field), null);
      assert.equal(ask({ origin: "http://a.example" }).field("x-a"), "1");
    }
  });

  it("follow the options of the preset", () => {
    const own = {
      frame: "deny",
      hsts: "max-age=5; preload",
      nosniff: false,
      referrer: "origin",
    } as const;
    const { field } = createSite([{ security: own }])({ origin: "https://a.example" });
    assert.equal(field("x-frame-options"), "DENY");
    assert.equal(field("content-security-policy"), "frame-ancestors 'none'");
    assert.equal(field("strict-transport-security"), "max-age=5; preload");
    assert.equal(field("x-content-type-options"), null);
    assert.equal(field("referrer-policy"), "origin");
    const none = createSite([{ security: true }, { removeFields: ["x-frame-options"] }])("/");
    assert.equal(none.field("x-frame-options"), null);
  });
});

describe("fields of requests", () => {
  it("are those of the rules, whatever the client sends", () => {
    const ask = createSite([
      { setRequestFields: { "X-User": "rule", "x-b": "1" }, removeRequestFields: ["x-debug"] },
      { path: "/b", setRequestFields: { "x-b": "2" } },
    ]);
    const fields = { "x-user": "admin", x_user: "admin", "x-debug": "1", accept: "*/*" };
    assert.equal(ask({ fields }).served?.fields, "accept\n*/*\nx-user\nrule\nx-b\n1");
    assert.equal(ask({ target: "/b", fields }).served?.fields, "accept\n*/*\nx-user\nrule\nx-b\n2");
  });
});

describe("allow and deny", () => {
  it("refuse with 403, by every rule that holds", () => {
    const ask = createSite([
      { allow: ["10.0.0.0/8", "::1"], deny: "10.6.6.6" },
      { path: "/a", allow: "10.1.0.0/16" },
    ]);
    const statusOf = (clientAddress: string, target = "/"): number =>
      ask({ clientAddress, target }).status;
    assert.equal(statusOf("10.0.0.1"), 200);
    assert.equal(statusOf("::1"), 200);
    assert.equal(statusOf("::ffff:10.0.0.1"), 200);
    assert.equal(statusOf("10.6.6.6"), 403);
    assert.equal(statusOf("11.0.0.1"), 403);
    assert.equal(statusOf("10.0.0.1", "/a"), 403);
    assert.equal(statusOf("10.1.0.1", "/a"), 200);
  });
});

describe("maintenance", () => {
  it("answers 503 to all but the clients that it names", () => {
    const ask = createSite([{ maintenance: { retryAfter: "90s", allow: ["10.0.0.1"] } }]);
    const { status, body, field } = ask("/");
    assert.deepEqual([status, body, field("retry-after")], [503, "Down for maintenance\n", "90"]);
    assert.equal(ask({ clientAddress: "10.0.0.1" }).status, 200);
    assert.equal(createSite([{ maintenance: false }, { setFields: {} }])("/").status, 200);
  });

  it("answers with a file", () => {
    const { body, field } = createSite([{ maintenance: { file: "actions.test.ts" } }])("/");
    assert.ok(typeof body === "string" && body.includes("answers with a file"));
    assert.equal(field("retry-after"), "300");
    assert.equal(field("cache-control"), "no-store");
  });
});

function preflight(origin: string, more: Record<string, string> = {}): Question {
  const fields = { origin, "access-control-request-method": "PUT", ...more };
  return { target: "/api/x", method: "OPTIONS", fields };
}

describe("cors", () => {
  const listed: UserRule = {
    path: "/api/**",
    cors: {
      origins: ["https://a.example", "https://*.b.example"],
      credentials: true,
      headers: ["X-One"],
      methods: "get",
      maxAge: "10m",
      expose: "X-Two",
    },
  };
  const deny: UserRule = { path: "/api/**", deny: "127.0.0.1" };

  it("answers a preflight before other rules can refuse it", () => {
    const { status, field } = createSite([deny, listed])(preflight("https://a.example"));
    assert.equal(status, 204);
    assert.equal(field("access-control-allow-origin"), "https://a.example");
    assert.equal(field("access-control-allow-credentials"), "true");
    assert.equal(field("access-control-allow-methods"), "GET");
    assert.equal(field("access-control-allow-headers"), "x-one");
    assert.equal(field("access-control-max-age"), "600");
    assert.equal(field("vary"), "origin");
  });

  it("has its fields on refusals, too", () => {
    const fields = { origin: "https://x.b.example" };
    const { status, field } = createSite([deny, listed])({ target: "/api", fields });
    assert.equal(status, 403);
    assert.equal(field("access-control-allow-origin"), "https://x.b.example");
    assert.equal(field("access-control-expose-headers"), "x-two");
  });

  it("opens nothing to other origins", () => {
    const ask = createSite([listed]);
    const wrong = ["null", "http://a.example", "https://a.example.evil", "https://b.example"];
    const more = ["https://x.y.b.example", "https://evil.example/.b.example", "https://.b.example"];
    for (const origin of [...wrong, ...more]) {
      const asked = ask(preflight(origin));
      assert.equal(asked.status, 403, origin);
      assert.equal(asked.field("access-control-allow-origin"), null);
      assert.equal(
        ask({ target: "/api", fields: { origin } }).field("access-control-allow-origin"),
        null,
      );
    }
    // Without a rule for the path, the preflight is a request as any other.
    assert.equal(ask({ ...preflight("https://a.example"), target: "/" }).served?.target, "/");
    assert.equal(ask("/api").field("vary"), "origin");
  });

  it("names the origin in the one field Vary of a reply", () => {
    const respond = { status: 200, fields: { vary: "Accept-Encoding" } };
    const ask = createSite([listed, { path: "/api/**", respond }]);
    for (const origin of ["https://a.example", "https://other.example"]) {
      const { fields } = ask({ target: "/api", fields: { origin } });
      const lines = fields.split("\n");
      assert.deepEqual(
        lines.filter((_, at) => lines[at - 1] === "vary"),
        ["Accept-Encoding, origin"],
      );
    }
  });

  it("is open to all with true, for the fields that the page asks for", () => {
    const ask = createSite([{ cors: true }]);
    const asked = ask(preflight("null", { "access-control-request-headers": "x-a,x-b" }));
    assert.equal(asked.field("access-control-allow-origin"), "*");
    assert.equal(asked.field("access-control-allow-headers"), "x-a,x-b");
    assert.equal(
      asked.field("access-control-allow-methods"),
      "GET, HEAD, POST, PUT, PATCH, DELETE",
    );
    assert.equal(ask({ fields: { origin: "http://b" } }).field("access-control-allow-origin"), "*");
    assert.equal(ask("/").field("vary"), null);
    const odd = ask(preflight("null", { "access-control-request-headers": "x-a: b" }));
    assert.equal(odd.field("access-control-allow-headers"), null);
    assert.equal(ask({ method: "OPTIONS", fields: { origin: "http://b" } }).served?.target, "/");
  });
});

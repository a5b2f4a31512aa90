import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { UserRule } from "../../runtime/config/user-config.ts";
import { createSite, type Question } from "./ask-rules.ts";

describe("compileRules()", () => {
  it("makes no stage without rules", () => {
    const ask = createSite([]);
    assert.equal(ask("/").status, 200);
  });

  const conditions: [rule: UserRule, holds: Question[], holdsNot: Question[]][] = [
    [{}, [{}, { target: "/a/b?c" }], []],
    [
      { path: ["/a", "/b/**"] },
      [{ target: "/a?x" }, { target: "/a/" }, { target: "/b" }, { target: "/b/c" }],
      [{ target: "/" }, { target: "/c" }, { target: "/bb" }],
    ],
    [{ method: "post" }, [{ method: "POST" }], [{ method: "GET" }, { method: "post" }]],
    [{ method: "GET" }, [{ method: "GET" }, { method: "HEAD" }], [{ method: "PUT" }]],
    [
      { host: ["example.com", "*.example.com", "[::1]"] },
      [
        { origin: "https://example.com:8443" },
        { origin: "http://example.com." },
        { origin: "http://www.example.com" },
        { origin: "http://[::1]:80" },
      ],
      [{ origin: "http://a.b.example.com" }, { origin: "http://badexample.com" }],
    ],
    [
      { header: { "X-Version": "2" } },
      [{ fields: { "x-version": "2" } }],
      [{ fields: { "x-version": "22" } }, {}],
    ],
    [{ header: { "x-a": true } }, [{ fields: { "x-a": "" } }], [{}]],
    [{ header: { "x-a": false } }, [{}], [{ fields: { "x-a": "1" } }]],
    [
      { header: { "user-agent": "*bot*" } },
      [{ fields: { "user-agent": "a bot b" } }, { fields: { "user-agent": "bot" } }],
      [{ fields: { "user-agent": "bo" } }, {}],
    ],
    [
      { query: { a: "1", b: true, c: false } },
      [{ target: "/?a=0&a=1&b" }],
      [{ target: "/?a=1" }, { target: "/?a=1&b&c" }, { target: "/?b" }],
    ],
    [
      { address: ["10.0.0.0/8", "2001:db8::/32", "::1"] },
      [{ clientAddress: "10.1.2.3" }, { clientAddress: "2001:db8::1" }, { clientAddress: "::1" }],
      [{ clientAddress: "11.0.0.1" }, { clientAddress: "2001:db9::1" }, { clientAddress: "" }],
    ],
    [{ scheme: "https" }, [{ origin: "https://a" }], [{ origin: "http://https" }]],
    [{ path: "/a", method: "PUT" }, [{ target: "/a", method: "PUT" }], [{ target: "/a" }]],
  ];
  for (const [rule, holds, holdsNot] of conditions) {
    it(`holds as told: ${JSON.stringify(rule)}`, () => {
      const ask = createSite([{ ...rule, respond: { status: 410 } }]);
      for (const question of holds)
        assert.equal(ask(question).status, 410, JSON.stringify(question));
      for (const question of holdsNot)
        assert.equal(ask(question).status, 200, JSON.stringify(question));
    });
  }

  it("answers with the first rule that holds, in the order of the list", () => {
    const ask = createSite([
      { path: "/a/**", method: "PUT", respond: { status: 501 } },
      { path: "/a/b", respond: { status: 502 } },
      { path: "/**", respond: { status: 503 } },
      { path: "/a", respond: { status: 504 } },
    ]);
    assert.equal(ask({ target: "/a/b", method: "PUT" }).status, 501);
    assert.equal(ask("/a/b").status, 502);
    assert.equal(ask("/a").status, 503);
    assert.equal(ask("/x/y").status, 503);
  });

  it("finds the same rules as one look at each rule after the other", () => {
    const segment = fc.constantFrom("a", "b", "c");
    const part = fc.oneof(segment, fc.constantFrom(":x", "*a", "*"));
    const pattern = fc
      .tuple(fc.array(part, { maxLength: 3 }), fc.constantFrom("", "/**", "/z"))
      .map(([parts, end]) => `/${parts.join("/")}${end}`.replace(/^\/\//, "/"))
      .filter((text) => !text.endsWith("/*"))
      .filter((text) => text.split(":x").length < 3);
    const path = fc.array(segment, { maxLength: 4 }).map((parts) => `/${parts.join("/")}`);
    fc.assert(
      fc.property(fc.array(pattern, { minLength: 1, maxLength: 6 }), path, (patterns, target) => {
        const rules = patterns.map((text, at): UserRule => ({
          path: text,
          respond: { status: 400 + at },
        }));
        const first = rules.find((rule) => createSite([rule])(target).status !== 200);
        assert.equal(createSite(rules)(target).status, first?.respond?.status ?? 200);
      }),
      { numRuns: 300 },
    );
  });
});

describe("a path with several readings", () => {
  const ask = createSite([
    { path: "/admin/**", respond: { status: 403 } },
    { path: "/api/**", header: { "x-not-there": false }, respond: { status: 201 } },
  ]);

  const cases: [target: string, status: number][] = [
    ["/admin", 403],
    ["/admin/x", 403],
    ["/%61dmin/x", 403],
    ["/admin/%2e./admin/x", 403],
    ["/x/../admin", 403],
    ["/x/%2e%2E/admin", 403],
    ["/x/..\\admin", 403],
    ["/%61dmin%zz/../admin", 403],
    ["//admin", 400],
    ["/admin%2Fx", 400],
    ["/admin%5cx", 400],
    ["/x/..%2Fadmin", 400],
    ["/x%2F..%2Fadmin", 400],
    ["/admin%2F..%2Fpublic", 400],
    ["/admin/..%2Fpublic", 400],
    ["/x/%2e%2e%2fadmin", 400],
    ["/.//admin", 400],
    // A program that decodes one of the two separators only.
    ["/x%5cy/..%2Fadmin", 400],
    ["/x%2Fy/..%5cadmin", 400],
    ["/x/y%5cz/..%2F..%2Fadmin", 400],
    // The case counts: no file and no route answers for a path in another case.
    ["/ADMIN", 200],
    ["/admin%00", 200],
    // Encoded slashes that change nothing reach the application as they are.
    ["/api/packages/@scope%2Fname", 201],
    ["/api//x", 201],
    ["/other%2Fx", 200],
    ["/other//x", 200],
  ];
  for (const [target, status] of cases) {
    it(`is answered ${status}: ${target}`, () => {
      const result = ask(target);
      assert.equal(result.status, status);
      if (status === 200 && !target.includes("//")) assert.equal(result.served?.target, target);
    });
  }

  it("never passes a rule that another program would see broken", () => {
    const seed = Date.now();
    const spellings = [
      "a",
      "%61",
      "A",
      "admin",
      "%61dmin",
      "x",
      ".",
      "..",
      "%2e",
      "%2E.",
      "",
      "%zz",
    ];
    const separators = ["/", "//", "%2f", "%2F", "%5c", "\\", "/./", "/%2e/"];
    const target = fc
      .array(fc.tuple(fc.constantFrom(...separators), fc.constantFrom(...spellings)), {
        minLength: 1,
        maxLength: 6,
      })
      .map((parts) => `/${parts.flat().join("").replace(/^\//, "")}`);
    fc.assert(
      fc.property(target, (written) => {
        const { status, served } = ask(written);
        if (served === null) return;
        assert.ok(!lenientReadings(served.target).some(isAdmin), `${written}: ${status}`);
      }),
      { seed, numRuns: 3000 },
    );
  });
});

function isAdmin(path: string): boolean {
  return path === "/admin" || path.startsWith("/admin/");
}

/** Returns the paths that careless programs make of a path: decoded first, then slashes merged, dots resolved, or not. */
function lenientReadings(pathname: string): string[] {
  const decoded = pathname.replace(/%[2-7][0-9a-f]/gi, (encoded) => decodeURIComponent(encoded));
  const slashes = decoded.replaceAll("\\", "/");
  return [pathname, decoded, slashes].flatMap((path) => {
    const merged = path.replace(/\/+/g, "/");
    return [
      path,
      merged,
      new URL(`http://h${path}`).pathname,
      new URL(`http://h${merged}`).pathname,
    ];
  });
}

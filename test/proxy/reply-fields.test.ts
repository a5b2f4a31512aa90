import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ReplyFieldMaker, type ReplyFieldRules } from "../../runtime/proxy/reply-fields.ts";

const RULES: ReplyFieldRules = {
  keepsServer: false,
  location: { path: { strip: "", add: "" }, replacements: [] },
  cookies: null,
};

function make(
  fields: readonly string[],
  rules: Partial<ReplyFieldRules> = {},
  upstream = "http://10.0.0.1:3000",
): string[] | string {
  const made = new ReplyFieldMaker({ ...RULES, ...rules }).of(fields.join("\n"), upstream);
  if (!made.ok) return made.reason;
  return made.fields === "" ? [] : made.fields.split("\n");
}

describe("ReplyFieldMaker", () => {
  it("passes end-to-end fields on, with all lines of one name", () => {
    const fields = [
      "content-type",
      "text/html",
      "set-cookie",
      "a=1",
      "set-cookie",
      "b=2",
      "etag",
      '"x"',
    ];
    assert.deepEqual(make(fields), fields);
    assert.deepEqual(make([]), []);
  });

  it("leaves out the name of the upstream's program, unless the rules keep it", () => {
    const fields = ["server", "gunicorn", "x-powered-by", "Express"];
    assert.deepEqual(make(fields), ["x-powered-by", "Express"]);
    assert.deepEqual(make(fields, { keepsServer: true }), fields);
  });

  it("leaves out the fields that speak to a proxy", () => {
    const fields = ["x-accel-buffering", "no", "x-accel-expires", "0", "vary", "accept"];
    assert.deepEqual(make(fields), ["vary", "accept"]);
  });

  it("refuses a response that asks for a file", () => {
    for (const name of ["x-accel-redirect", "x-sendfile", "x-reproxy-url"]) {
      assert.equal(
        make(["a", "b", name, "/secret"]),
        `the response asks for a file with the field ${name}`,
      );
    }
  });

  it("takes a value for no name", () => {
    const fields = ["x-a", "server", "x-b", "x-accel-redirect"];
    assert.deepEqual(make(fields), fields);
  });

  it("gives clients addresses that they can reach", () => {
    type Path = { strip: string; add: string };
    const cases: [location: string, expected: string, path?: Path][] = [
      ["/next", "/next"],
      ["next", "next"],
      ["?page=2", "?page=2"],
      ["", ""],
      ["//cdn.example/x", "//cdn.example/x"],
      ["https://example.com/x", "https://example.com/x"],
      // The upstream's own address.
      ["http://10.0.0.1:3000/x?y#z", "/x?y#z"],
      ["http://10.0.0.1:3000", "/"],
      ["http://10.0.0.1:3001/x", "http://10.0.0.1:3001/x"],
      ["http://10.0.0.1:3000@evil.example/", "http://10.0.0.1:3000@evil.example/"],
      // Behind a prefix that the upstream does not see.
      ["/login", "/api/login", { strip: "/api", add: "" }],
      ["/", "/api/", { strip: "/api", add: "" }],
      ["/api/login", "/api/login", { strip: "/api", add: "" }],
      ["/api", "/api", { strip: "/api", add: "" }],
      ["/apis", "/api/apis", { strip: "/api", add: "" }],
      ["http://10.0.0.1:3000/login", "/api/login", { strip: "/api", add: "" }],
      ["https://example.com/login", "https://example.com/login", { strip: "/api", add: "" }],
      // Below a path of the upstream.
      ["/base/login", "/login", { strip: "", add: "/base" }],
      ["/base", "/", { strip: "", add: "/base" }],
      ["/base?x", "/?x", { strip: "", add: "/base" }],
      ["/other", "/other", { strip: "", add: "/base" }],
      ["/base/login", "/api/login", { strip: "/api", add: "/base" }],
      ["/base", "/api", { strip: "/api", add: "/base" }],
      ["/login", "/login", { strip: "/api", add: "/base" }],
      // Paths that would name a host if they stood alone.
      ["http://10.0.0.1:3000//evil.example/x", "/.//evil.example/x"],
      ["http://10.0.0.1:3000//evil.example", "/api//evil.example", { strip: "/api", add: "" }],
      ["/base//evil.example/x", "/.//evil.example/x", { strip: "", add: "/base" }],
      ["/base/\\evil.example", "/./\\evil.example", { strip: "", add: "/base" }],
      ["/base/\t/evil.example", "/./\t/evil.example", { strip: "", add: "/base" }],
      ["/base//evil.example", "/api//evil.example", { strip: "/api", add: "/base" }],
      ["http://10.0.0.1:3000/base//evil.example", "/.//evil.example", { strip: "", add: "/base" }],
      ["/\\evil.example", "/api/\\evil.example", { strip: "/api", add: "" }],
    ];
    for (const [location, expected, path = { strip: "", add: "" }] of cases) {
      for (const name of ["location", "content-location"]) {
        const made = make([name, location], { location: { path, replacements: [] } });
        assert.deepEqual(made, [name, expected], `${location} with ${JSON.stringify(path)}`);
        const { host: given } = new URL(location, "http://10.0.0.1:3000");
        const { host: reached } = new URL(expected, "http://10.0.0.1:3000");
        assert.ok(["10.0.0.1:3000", given].includes(reached), `${expected} leads to ${reached}`);
      }
    }
  });

  it("replaces starts of addresses that the config names, the first that fits", () => {
    const location = {
      path: { strip: "/api", add: "" },
      replacements: [
        ["http://app.internal/admin/", "/office/"],
        ["http://app.internal/", "/"],
      ],
    } as const;
    assert.deepEqual(make(["location", "http://app.internal/admin/x"], { location }), [
      "location",
      "/office/x",
    ]);
    assert.deepEqual(make(["location", "http://app.internal/x"], { location }), ["location", "/x"]);
    const odd = make(["location", "http://app.internal//evil.example/x"], { location });
    assert.deepEqual(odd, ["location", "/.//evil.example/x"]);
    const toHost = {
      ...location,
      replacements: [
        ["http:", ""],
        ["https://app/", "//b/"],
      ],
    } as const;
    const named = make(["location", "https://app/x"], { location: toHost });
    assert.deepEqual(named, ["location", "//b/x"]);
  });

  it("keeps addresses where the rules say so", () => {
    const fields = [
      "location",
      "http://10.0.0.1:3000/x",
      "refresh",
      "5; url=http://10.0.0.1:3000/x",
    ];
    assert.deepEqual(make(fields, { location: null }), fields);
  });

  it("changes the address of `refresh`", () => {
    const location = { path: { strip: "/api", add: "" }, replacements: [] };
    const cases: [string, string][] = [
      ["5; url=/next", "5; url=/api/next"],
      ["0;URL='http://10.0.0.1:3000/next'", "0;URL='/api/next'"],
      ['0; url="/next"', '0; url="/api/next"'],
      ["0; url='/next", "0; url='/api/next"],
      ["5", "5"],
      ["odd text", "odd text"],
    ];
    for (const [value, expected] of cases) {
      assert.deepEqual(make(["refresh", value], { location }), ["refresh", expected]);
    }
  });

  it(
    "reads values of the largest heads at once, whatever they contain",
    { timeout: 30_000 },
    () => {
      const location = { path: { strip: "/api", add: "" }, replacements: [] };
      const cookies = { domains: new Map<string, null>(), paths: [["/", "/b/"]] } as const;
      const gap = " ".repeat(2 ** 20);
      for (const [name, value] of [
        ["refresh", `5;url=x${gap}x`],
        ["refresh", `5;url=${gap}"x`],
        ["set-cookie", `a=b; path=x${gap}x`],
        ["set-cookie", `a=b;${gap}path${gap}x`],
      ] as const) {
        assert.deepEqual(make([name, value], { location, cookies }), [name, value]);
      }
    },
  );

  it("changes domain and path of cookies, and nothing else of them", () => {
    const cookies = {
      domains: new Map([
        ["app.internal", "example.com"],
        ["gone.internal", null],
      ]),
      paths: [
        ["/app/", "/"],
        ["/", "/api/"],
      ],
    } as const;
    const cases: [string, string][] = [
      ["a=1", "a=1"],
      ["a=path=/; HttpOnly", "a=path=/; HttpOnly"],
      ["a=1; Path=/; Secure", "a=1; Path=/api/; Secure"],
      ["a=1; path=/app/x", "a=1; path=/x"],
      ["a=1; Domain=.App.Internal; Path=/", "a=1; Domain=example.com; Path=/api/"],
      ["a=1; Domain=gone.internal; Secure", "a=1; Secure"],
      ["a=1; Domain=other.example", "a=1; Domain=other.example"],
      ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"],
    ];
    for (const [cookie, expected] of cases) {
      assert.deepEqual(make(["set-cookie", cookie], { cookies }), ["set-cookie", expected]);
    }
  });
});

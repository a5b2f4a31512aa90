import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { proxySetting, readProxy, type ProxySetting } from "../../runtime/config/proxy-setting.ts";

/** Returns the checked proxy, and `key: found x, expected y` of each problem. */
function read(value: unknown): { proxy: ProxySetting | null; problems: string[] } {
  const problems: string[] = [];
  const proxy = readProxy(value, {
    key: "proxy",
    refuse: (key, found, expected) => {
      problems.push(`${key}: found ${JSON.stringify(found)}, expected ${expected}`);
    },
  });
  return { proxy, problems };
}

function readFine(value: unknown): ProxySetting {
  const { proxy, problems } = read(value);
  assert.deepEqual(problems, []);
  assert.ok(proxy !== null);
  return proxy;
}

const LOCAL = { kind: "tcp", tls: false, host: "127.0.0.1", port: 3000 } as const;

describe("readProxy()", () => {
  it("reads URLs, sockets and names of groups", () => {
    const cases: [to: string, expected: Partial<ProxySetting>][] = [
      ["http://127.0.0.1:3000", { group: "http://127.0.0.1:3000", address: LOCAL, addPrefix: "" }],
      ["http://127.0.0.1:3000/", { group: "http://127.0.0.1:3000", addPrefix: "" }],
      ["http://127.0.0.1:3000/base/", { group: "http://127.0.0.1:3000", addPrefix: "/base" }],
      ["HTTPS://API.Internal", { group: "https://api.internal:443" }],
      [
        "unix:/run/app.sock",
        { group: "unix:/run/app.sock", address: { kind: "unix", path: "/run/app.sock" } },
      ],
      ["api", { group: "api", address: null }],
      ["api-2.internal", { group: "api-2.internal", address: null }],
    ];
    for (const [to, expected] of cases) {
      for (const value of [to, { to }]) {
        const proxy = readFine(value);
        for (const [name, part] of Object.entries(expected)) {
          assert.deepEqual(proxy[name as keyof ProxySetting], part, `${name} of ${to}`);
        }
      }
    }
  });

  it("has defaults for all but the upstream", () => {
    const { group: _, address: __, ...rest } = readFine("api");
    assert.deepEqual(rest, {
      stripPrefix: "",
      addPrefix: "",
      host: "keep",
      clientFields: "auto",
      setRequestFields: {},
      removeRequestFields: [],
      keepServer: false,
      rewriteLocation: [],
      cookieDomains: [],
      cookiePaths: [],
      retries: 2,
      connectTimeoutMs: null,
      firstByteTimeoutMs: null,
      idleTimeoutMs: null,
    });
  });

  it("reads all members", () => {
    const {
      group: _,
      address: __,
      ...rest
    } = readFine({
      to: "api",
      stripPrefix: "/api/",
      addPrefix: "/v1",
      host: "App.Example:8080",
      clientFields: "forwarded",
      setRequestFields: { "X-User": "ann" },
      removeRequestFields: "X-Debug",
      keepServer: true,
      rewriteLocation: { "http://app.internal/": "/" },
      cookieDomain: { ".App.Internal": "example.com", "gone.internal": false },
      cookiePath: { "/": "/api/" },
      retries: 0,
      connectTimeout: "1s",
      firstByteTimeout: "2m",
      idleTimeout: "3m",
    });
    assert.deepEqual(rest, {
      stripPrefix: "/api",
      addPrefix: "/v1",
      host: { value: "app.example:8080" },
      clientFields: "forwarded",
      setRequestFields: { "x-user": "ann" },
      removeRequestFields: ["x-debug"],
      keepServer: true,
      rewriteLocation: [["http://app.internal/", "/"]],
      cookieDomains: [
        ["app.internal", "example.com"],
        ["gone.internal", null],
      ],
      cookiePaths: [["/", "/api/"]],
      retries: 0,
      connectTimeoutMs: 1_000,
      firstByteTimeoutMs: 120_000,
      idleTimeoutMs: 180_000,
    });
  });

  it("refuses everything else, and names place and remedy", () => {
    const to = "api";
    const cases: [value: unknown, problem: RegExp][] = [
      [7, /^proxy: found 7, expected a URL such as/],
      [{}, /^proxy\.to: .*expected a URL such as/],
      ["127.0.0.1:3000", /^proxy: found "127\.0\.0\.1:3000", expected a URL such as "http:/],
      ["localhost:3000", /^proxy: .*expected a URL such as/],
      ["ftp://example.com", /^proxy: .*expected a URL such as/],
      ["http://a.example/?x", /^proxy: .*expected a URL without a query/],
      ["http://a.example/#x", /^proxy: .*expected a URL without a query/],
      [
        "http://ann:secret@a.example",
        /^proxy: found "http:\/\/\(hidden\)@a\.example", expected .*without a user/,
      ],
      ["http://unix:/run/app.sock", /^proxy: .*expected "unix:\/run\/app\.sock"$/],
      ["http://unix:/run/app.sock:/base", /^proxy: .*expected "unix:\/run\/app\.sock"$/],
      ["unix:app.sock", /^proxy: .*expected the absolute path of a socket/],
      ["http://a.example:0", /^proxy: .*expected a port from 1/],
      [{ to: "a b" }, /^proxy\.to: found "a b", expected a URL such as/],
      [{ to, stripprefix: "/a" }, /^proxy\.stripprefix: .*expected "stripPrefix"/],
      [{ to, stripPrefix: "api" }, /^proxy\.stripPrefix: found "api", expected a path/],
      [{ to, stripPrefix: "/a/../b" }, /^proxy\.stripPrefix: .*expected a path/],
      [{ to, stripPrefix: "/a?b" }, /^proxy\.stripPrefix: .*expected a path/],
      [{ to, addPrefix: "/%2e" }, /^proxy\.addPrefix: .*expected a path/],
      [
        { to: "http://a.example/base", addPrefix: "/b" },
        /^proxy\.addPrefix: .*since the URL has \/base/,
      ],
      [{ to, host: "a/b" }, /^proxy\.host: .*expected "keep", "upstream" or a host name/],
      [{ to, host: "*.example" }, /^proxy\.host: .*expected "keep"/],
      [{ to, clientFields: true }, /^proxy\.clientFields: .*expected "auto"/],
      [{ to, setRequestFields: { "x y": "1" } }, /^proxy\.setRequestFields\["x y"\]:/],
      [{ to, setRequestFields: { "x-a": "a\nb" } }, /^proxy\.setRequestFields\["x-a"\]:/],
      [
        { to, setRequestFields: { Host: "a" } },
        /^proxy\.setRequestFields: found "host", expected the key "host" instead/,
      ],
      [
        { to, setRequestFields: { connection: "a" } },
        /^proxy\.setRequestFields\["connection"\]: .*other than those of framing/,
      ],
      [
        { to, setRequestFields: { "Proxy-Authorization": "Basic eA==" } },
        /^proxy\.setRequestFields: .*fields that upstream servers get/,
      ],
      [
        { to, removeRequestFields: ["content-length"] },
        /^proxy\.removeRequestFields: .*other than those of framing/,
      ],
      [{ to, removeRequestFields: [1] }, /^proxy\.removeRequestFields\[0\]:/],
      [{ to, keepServer: "yes" }, /^proxy\.keepServer: .*expected true or false/],
      [{ to, rewriteLocation: "on" }, /^proxy\.rewriteLocation: .*expected true, false/],
      [{ to, rewriteLocation: { "/a": "/b c" } }, /^proxy\.rewriteLocation\["\/a"\]:/],
      [
        { to, cookieDomain: { a: "b/c" } },
        /^proxy\.cookieDomain\["a"\]: .*expected a host name, or false/,
      ],
      [{ to, cookiePath: { "/": "/;x" } }, /^proxy\.cookiePath\["\/"\]:/],
      [{ to, retries: -1 }, /^proxy\.retries: .*expected a whole number from 0 to 10/],
      [{ to, idleTimeout: "soon" }, /^proxy\.idleTimeout: .*expected a duration/],
    ];
    for (const [value, problem] of cases) {
      const { problems } = read(value);
      assert.equal(problems.length, 1, `${JSON.stringify(value)}: ${problems.join("; ")}`);
      assert.match(problems[0] ?? "", problem);
      assert.doesNotMatch(problems[0] ?? "", /secret/);
    }
  });
});

describe("proxySetting()", () => {
  it("reads texts, objects and off", () => {
    const type = proxySetting();
    assert.deepEqual(type.parse("off"), { value: null });
    assert.deepEqual(type.parse(false), { value: null });
    assert.equal(type.parse("api")?.value?.group, "api");
    assert.equal(type.parse({ to: "api", stripPrefix: "/x" })?.value?.stripPrefix, "/x");
    assert.equal(type.parse({ to: "api", stripPrefix: "x" }), null);
  });

  it("names the member that is wrong", () => {
    const problem = proxySetting().explain?.({ to: "api", stripPrefix: "x" });
    assert.equal(problem?.key, ".stripPrefix");
    assert.equal(problem?.value, "x");
  });
});

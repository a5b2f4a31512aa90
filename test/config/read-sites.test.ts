import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isCovered, toHostName } from "../../runtime/config/host-name.ts";
import { readSites } from "../../runtime/config/read-sites.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

describe("toHostName()", () => {
  it("writes a name as the origin of a request has it", () => {
    const names = {
      "Example.COM": "example.com",
      "example.com.": "example.com",
      "bücher.example": "xn--bcher-kva.example",
      "*.Example.org": "*.example.org",
      localhost: "localhost",
      "_acme.example.com": "_acme.example.com",
      "192.0.2.1": "192.0.2.1",
      "::1": "[::1]",
      "[2001:DB8:0::1]": "[2001:db8::1]",
    };
    for (const [text, name] of Object.entries(names)) assert.equal(toHostName(text), name);
  });

  it("refuses everything else", () => {
    const texts = [
      "",
      "*",
      "*.",
      ".",
      "..",
      "a..b",
      ".example.com",
      "example.com:8443",
      "http://example.com",

      "example.com/",
      "a b",
      "a@b",
      "a?b",
      "a#b",
      "a%2eb",
      "a\\b",
      "*.*.example.com",
      "www.*.com",
      "*.192.0.2.1",
      "*.[::1]",
      "1.2.3",
      "256.1.1.1",
      "[::1",
      "-a.example",
      "a".repeat(64),
    ];
    for (const text of texts) {
      // The URL standard reads "1.2.3" as the address 1.2.0.3.
      const expected = text === "1.2.3" ? "1.2.0.3" : null;
      assert.equal(toHostName(text), expected, text);
    }
  });
});

describe("isCovered()", () => {
  it("takes `*` for exactly one label", () => {
    const names = new Set(["example.com", "*.example.com"]);
    for (const host of ["example.com", "a.example.com", "*.example.com"]) {
      assert.ok(isCovered(host, names), host);
    }
    for (const host of ["a.b.example.com", "example.org", "com", "*.a.example.com", "[::1]"]) {
      assert.ok(!isCovered(host, names), host);
    }
  });
});

describe("readSites()", () => {
  it("merges entries of the config file with folders, which no other folder can be taken for", (t) => {
    const folder = temporaryFolder(t);
    for (const dir of [
      "sites/by-folder.example/public",
      "sites/both.example/public",
      "sites/own.example/public",
      "sites/Not-A-Site/public",
      "sites/empty.example",
      "sites/default/public",
      "files",
    ]) {
      mkdirSync(join(folder, dir), { recursive: true });
    }
    const { sites, problems } = readSites(
      {
        "Both.example": { aliases: "www.both.example", bodyLimit: "2kb" },
        "own.example": { public: "files", sendTimeout: "0s" },
        "none.example": { public: false },
        default: { aliases: ["[::1]", "127.0.0.1"], bodyLimit: 7 },
      },
      folder,
    );
    assert.deepEqual(problems, []);
    assert.deepEqual(
      sites.map(({ name, hosts, publicDir, own }) => [name, hosts.slice(1), publicDir, own]),
      [
        [
          "both.example",
          ["www.both.example"],
          join(folder, "sites/both.example/public"),
          { bodyLimitBytes: 2048 },
        ],
        ["by-folder.example", [], join(folder, "sites/by-folder.example/public"), {}],
        ["default", ["127.0.0.1"], null, { bodyLimitBytes: 7 }],
        ["none.example", [], null, {}],
        ["own.example", [], join(folder, "files"), { sendTimeoutMs: 0 }],
      ],
    );
  });

  it("names every key that is wrong, and the value that it may have", (t) => {
    const { problems } = readSites(
      {
        "example.com:80": {},
        "a.example": 7,
        "b.example": { bodyLimt: 1, bodyLimit: "x", http: 80, aliases: ["A.b.example.", "*", 7] },
        "c.example": { aliases: "a.b.example", public: "nowhere" },
        "C.example": {},
        "d.example": { public: "x".repeat(5_000), certs: { cert: "none.crt", pem: 1 }, pool: "A" },
        "e.example": { workers: 0, app: "shop app", mounts: { api: "x:y" }, rules: 7 },
        default: { public: "files" },
      },
      temporaryFolder(t),
    );
    const host =
      'a host name without a port, such as "example.com", "*.example.com" (one label) or "[::1]"';
    assert.deepEqual(
      problems.map(({ key, expected }) => `${key}: ${expected}`),
      [
        `sites["example.com:80"]: ${host}, or "default"`,
        'sites["a.example"]: an object: { public: "public-example" }',
        'sites["C.example"]: a host name that no other site has (sites["c.example"] has it)',
        'sites["b.example"].bodyLimt: "bodyLimit"',
        'sites["b.example"].http: this key outside of "sites"',
        `sites["b.example"].aliases[1]: ${host}`,
        `sites["b.example"].aliases[2]: ${host}`,
        'sites["b.example"].bodyLimit: a size from 1 byte to 1024gb, such as "512kb" or "10mb"',
        'sites["c.example"].aliases: a host name that no other site has (sites["b.example"].aliases[0] has it)',
        'sites["c.example"].public: a folder that exists, or "off"',
        'sites["d.example"].public: a folder that exists, or "off"',
        'sites["d.example"].certs.pem: "cert" and "key"',
        'sites["d.example"].certs.cert: a file that exists, in PEM',
        'sites["d.example"].certs.key: a file that exists, in PEM',
        'sites["d.example"].pool: a name such as "reports" in lower-case letters, digits and "-"',
        'sites["default"].public: this key outside of "sites"',
        'sites["e.example"].workers: a whole number from 1 to 1024',
        'sites["e.example"].app: a Python module and a name in it, such as "api.main:app"',
        'sites["e.example"].mounts["api"]: a path such as "/api", of letters, digits and "-._~"',
        'sites["e.example"].rules: a list of rules: [{ path: "/old", redirect: "/new" }]',
      ],
    );
  });
});

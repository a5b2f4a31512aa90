import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  formatUpstreamAddress,
  parseUpstreamAddress,
  type UpstreamAddressSetting,
} from "../../runtime/config/upstream-address.ts";
import {
  readUpstreams,
  type UpstreamGroupSetting,
} from "../../runtime/config/upstream-settings.ts";

/** Returns the checked groups, and `key: found x, expected y` of each problem. */
function read(upstreams: unknown): { groups: UpstreamGroupSetting[]; problems: string[] } {
  const problems: string[] = [];
  const refuse = (key: string, value: unknown, expected: string): void => {
    problems.push(`${key}: found ${JSON.stringify(value)}, expected ${expected}`);
  };
  const groups = readUpstreams(upstreams, { key: "upstreams", folder: "/etc/edgicorn", refuse });
  return { groups, problems };
}

function readOne(group: unknown): UpstreamGroupSetting {
  const { groups, problems } = read({ api: group });
  assert.deepEqual(problems, []);
  const [only] = groups;
  assert.ok(only !== undefined);
  return only;
}

describe("parseUpstreamAddress()", () => {
  it("reads hosts, addresses, services and sockets", () => {
    const cases: [text: string, address: UpstreamAddressSetting, usual?: string][] = [
      ["http://10.0.0.1:3000", { kind: "tcp", tls: false, host: "10.0.0.1", port: 3000 }],
      [
        "http://10.0.0.1",
        { kind: "tcp", tls: false, host: "10.0.0.1", port: 80 },
        "http://10.0.0.1:80",
      ],
      [
        "HTTPS://API.Internal/",
        { kind: "tcp", tls: true, host: "api.internal", port: 443 },
        "https://api.internal:443",
      ],
      ["http://[2001:db8::1]:8080", { kind: "tcp", tls: false, host: "2001:db8::1", port: 8080 }],
      ["https://_api._tcp.example.com", { kind: "srv", tls: true, host: "_api._tcp.example.com" }],
      ["unix:/run/api.sock", { kind: "unix", path: "/run/api.sock" }],
      ["unix:api.sock", { kind: "unix", path: "api.sock" }],
    ];
    for (const [text, address, usual = text] of cases) {
      const parsed = parseUpstreamAddress(text);
      assert.deepEqual(parsed, address, text);
      assert.equal(formatUpstreamAddress(address), usual);
    }
  });

  it("refuses all other texts, with the reason", () => {
    const cases: [text: string, reason: RegExp | null][] = [
      ["10.0.0.1:3000", null],
      ["localhost:3000", null],
      ["ftp://10.0.0.1", null],
      ["http://", null],
      ["http://a b", null],
      ["http://10.0.0.1:70000", null],
      ["", null],
      ["http://10.0.0.1:0", /port from 1/],
      ["http://10.0.0.1/api", /without a path/],
      ["http://10.0.0.1/?", /without a path/],
      ["http://10.0.0.1#x", /without a path/],
      ["http://ann:pass@10.0.0.1", /without a user/],
      ["http://_api._tcp.example.com:3000", /SRV/],
      ["unix:", /path of a socket/],
      ["unix://run/api.sock", /path of a socket/],
      [`unix:/${"a".repeat(107)}`, /107 bytes/],
    ];
    for (const [text, reason] of cases) {
      const parsed = parseUpstreamAddress(text);
      if (reason === null) assert.equal(parsed, null, text);
      else
        assert.match(parsed !== null && "expected" in parsed ? parsed.expected : "", reason, text);
    }
  });
});

describe("readUpstreams()", () => {
  it("has short forms, and fills in defaults", () => {
    const address = { kind: "tcp", tls: false, host: "10.0.0.1", port: 3000 };
    const server = { address, weight: 1, backup: false, maxConnections: null };
    const expected = {
      name: "api",
      servers: [server],
      balance: { kind: "least-busy" },
      sticky: null,
      health: { failures: 3, windowMs: 10_000, outTimeMs: 1000, slowStartMs: 10_000, check: null },
      maxConnections: 1000,
      queueLimit: 10_000,
      queueDelayMs: 500,
      queueTimeoutMs: 10_000,
      connectTimeoutMs: 5000,
      firstByteTimeoutMs: 60_000,
      idleTimeoutMs: 60_000,
      tls: { ca: null, serverName: null, verify: true, cert: null, key: null },
    };
    assert.deepEqual(readOne("http://10.0.0.1:3000"), expected);
    assert.deepEqual(readOne(["http://10.0.0.1:3000"]), expected);
    assert.deepEqual(readOne({ servers: [{ url: "http://10.0.0.1:3000" }] }), expected);
  });

  it("reads all members", () => {
    const group = readOne({
      servers: [
        { url: "unix:run/a.sock", weight: 2, maxConnections: 8 },
        { url: "https://b.internal", backup: true },
      ],
      balance: { hash: { header: "X-User" } },
      sticky: { cookie: "server", secret: "0123456789abcdef", maxAge: "1h" },
      health: { path: "/healthz?deep=1", interval: "2s", status: ["200", "401"], rise: 1, fall: 5 },
      maxConnections: 64,
      queueLimit: 0,
      queueDelay: "0s",
      queueTimeout: "2s",
      connectTimeout: "1s",
      firstByteTimeout: "30s",
      idleTimeout: "90s",
      tls: { ca: "ca.pem", serverName: "b.example", verify: false, cert: "c.pem", key: "k.pem" },
    });
    assert.deepEqual(group.servers, [
      {
        address: { kind: "unix", path: "/etc/edgicorn/run/a.sock" },
        weight: 2,
        backup: false,
        maxConnections: 8,
      },
      {
        address: { kind: "tcp", tls: true, host: "b.internal", port: 443 },
        weight: 1,
        backup: true,
        maxConnections: null,
      },
    ]);
    assert.deepEqual(group.balance, { kind: "hash", key: { header: "x-user" } });
    assert.deepEqual(group.sticky, {
      cookie: "server",
      secret: "0123456789abcdef",
      maxAgeSeconds: 3600,
    });
    assert.deepEqual(group.health?.check, {
      path: "/healthz?deep=1",
      intervalMs: 2000,
      timeoutMs: 5000,
      rise: 1,
      fall: 5,
      statuses: ["200", "401"],
    });
    assert.deepEqual(group.tls, {
      ca: "/etc/edgicorn/ca.pem",
      serverName: "b.example",
      verify: false,
      cert: "/etc/edgicorn/c.pem",
      key: "/etc/edgicorn/k.pem",
    });
    assert.deepEqual(
      [group.queueLimit, group.queueDelayMs, group.queueTimeoutMs, group.idleTimeoutMs],
      [0, 0, 2000, 90_000],
    );
    assert.equal(readOne({ servers: "http://a", health: "off" }).health, null);
    assert.deepEqual(readOne({ servers: "http://a", sticky: "sid" }).sticky?.cookie, "sid");
  });

  it("refuses wrong values with place and remedy", () => {
    const a = "http://10.0.0.1:3000";
    const cases: [upstreams: unknown, problem: RegExp][] = [
      [[], /^upstreams: found \[\], expected an object/],
      [{ "a b": a }, /^upstreams\["a b"\]: .*name of at most 64/],
      [{ api: 5 }, /^upstreams\["api"\]: .*servers/],
      [{ api: {} }, /^upstreams\["api"\]\.servers: .*list of servers/],
      [{ api: [] }, /\.servers: .*list of servers/],
      [{ api: ["10.0.0.1:3000"] }, /\.servers\[0\]: .*unix:/],
      [{ api: [{ url: `${a}/x` }] }, /\.servers\[0\]\.url: .*without a path/],
      [{ api: [a, `${a}/`] }, /\.servers\[1\]: .*another server than that of .*servers\[0\]/],
      [{ api: [{ url: a, backup: true }] }, /\.servers: .*one that is no backup/],
      [{ api: [{ url: a, backup: "yes" }] }, /\.backup: .*true or false/],
      [{ api: [{ url: a, weight: 0 }] }, /\.weight: found 0, expected a whole number from 1/],
      [{ api: [{ url: a, wieght: 2 }] }, /\.wieght: found 2, expected "weight"/],
      [{ api: { servers: a, balance: "random" } }, /\.balance: .*"least-busy"/],
      [{ api: { servers: a, balance: { hash: "cookie" } } }, /\.balance: .*cookie/],
      [{ api: { servers: a, sticky: "a b" } }, /\.sticky: .*name of a cookie/],
      [{ api: { servers: a, sticky: { cookie: "s", maxAge: 5 } } }, /\.sticky\.maxAge: /],
      [{ api: { servers: a, health: "on" } }, /\.health: /],
      [{ api: { servers: a, health: { path: "healthz" } } }, /\.health\.path: .*such as/],
      [{ api: { servers: a, health: { rise: 2 } } }, /\.health\.rise: .*"path" beside it/],
      [{ api: { servers: a, health: { path: "/", status: "ok" } } }, /\.health\.status: .*classes/],
      [{ api: { servers: a, queueTimeout: 10 } }, /\.queueTimeout: found 10, .*with a unit/],
      [{ api: { servers: a, keepalive: 10 } }, /\.keepalive: found 10/],
      [{ api: { servers: a, tls: { cert: "c.pem" } } }, /\.tls: .*both of "cert" and "key"/],
      [{ api: { servers: a, tls: { verify: 0 } } }, /\.tls\.verify: found 0/],
      [{ api: { servers: a, tls: { ca: "" } } }, /\.tls\.ca: /],
    ];
    for (const [upstreams, problem] of cases) {
      const { problems } = read(upstreams);
      assert.equal(problems.length, 1, `${JSON.stringify(upstreams)}: ${problems.join("; ")}`);
      assert.match(problems.join(), problem);
    }
  });

  it("shows no secret", () => {
    const { problems } = read({
      api: {
        servers: "http://ann:hunter2@10.0.0.1",
        sticky: { cookie: "s", secret: "hunter2" },
      },
    });
    assert.equal(problems.length, 2);
    assert.doesNotMatch(problems.join(), /hunter2/);
  });
});

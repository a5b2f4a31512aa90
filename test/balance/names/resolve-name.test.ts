import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { NameWatch, nextResolveMs } from "../../../runtime/balance/names/name-watch.ts";
import {
  codeOf,
  createResolveName,
  findInHosts,
  type Resolution,
  type ResolveName,
} from "../../../runtime/balance/names/resolve-name.ts";
import { Waiters } from "../../../runtime/lib/waiters.ts";
import { DnsServer } from "../../helpers/dns-server.ts";
import { temporaryFolder } from "../../helpers/temporary-folder.ts";

interface Scene {
  dns: DnsServer;
  resolve: ResolveName;
  host: (name: string) => Promise<Resolution>;
  addresses: (name: string) => Promise<string[]>;
}

async function open(t: TestContext, hosts = ""): Promise<Scene> {
  const dns = await DnsServer.start(t);
  const hostsFile = join(temporaryFolder(t), "hosts");
  writeFileSync(hostsFile, hosts);
  const resolve = createResolveName({ servers: dns.resolver(), hostsFile });
  const host = (name: string): Promise<Resolution> => resolve({ kind: "host", name });
  return {
    dns,
    resolve,
    host,
    addresses: async (name) => (await host(name)).addresses.map(({ host: address }) => address),
  };
}

describe("createResolveName()", () => {
  it("returns all addresses of a name with the shortest time to live", async (t) => {
    const { dns, host } = await open(t);
    dns.records.set("api.test", [
      { type: "A", address: "10.0.0.1", ttl: 60 },
      { type: "A", address: "10.0.0.2", ttl: 20 },
      { type: "AAAA", address: "2001:db8::1", ttl: 5 },
    ]);
    const { addresses, ttlMs } = await host("api.test");
    assert.deepEqual(addresses.map((address) => address.host).toSorted(), ["10.0.0.1", "10.0.0.2"]);
    assert.equal(ttlMs, 20_000);
  });

  it("uses IPv6 for a name without IPv4", async (t) => {
    const { dns, host } = await open(t);
    dns.records.set("six.test", [{ type: "AAAA", address: "2001:db8::1", ttl: 5 }]);
    assert.deepEqual(await host("six.test"), {
      addresses: [{ host: "2001:db8::1", port: null, weight: 1, backup: false }],
      ttlMs: 5000,
    });
  });

  it("asks the file of hosts first, and the DNS not at all then", async (t) => {
    const { dns, addresses } = await open(t, "192.0.2.9 other.test api.test # comment\n");
    dns.records.set("api.test", [{ type: "A", address: "10.0.0.1", ttl: 60 }]);
    assert.deepEqual(await addresses("api.test"), ["192.0.2.9"]);
    assert.deepEqual(dns.queries, []);
  });

  it("asks the system for a name that the DNS does not have", async (t) => {
    const { dns, addresses } = await open(t);
    // The system has it in its own file of hosts.
    const found = await addresses("localhost");
    assert.ok(found.includes("127.0.0.1") || found.includes("::1"), found.join());
    assert.deepEqual(dns.queries, ["A localhost", "AAAA localhost"]);
  });

  it("reports errors of the DNS, and asks nothing else then", async (t) => {
    const { dns, host } = await open(t);
    await assert.rejects(host("missing.invalid"), (error) => codeOf(error) === "ENOTFOUND");
    dns.mode = "refuse";
    await assert.rejects(host("localhost"), (error) => codeOf(error) === "ESERVFAIL");
    dns.mode = "silent";
    await assert.rejects(host("localhost"), (error) => codeOf(error) === "ETIMEOUT");
  });

  it("finds the servers of a service with ports, weights and backups", async (t) => {
    const { dns, resolve } = await open(t);
    const record = { type: "SRV", priority: 1, weight: 10, ttl: 60 } as const;
    dns.records.set("_api._tcp.test", [
      { ...record, target: "a.test", port: 3000, weight: 20 },
      { ...record, target: "b.test", port: 3001 },
      { ...record, target: "c.test", port: 3002, priority: 2, weight: 0 },
    ]);
    for (const [at, name] of ["a.test", "b.test", "c.test"].entries()) {
      dns.records.set(name, [{ type: "A", address: `10.0.0.${at + 1}`, ttl: 30 + at }]);
    }
    const { addresses, ttlMs } = await resolve({ kind: "service", name: "_api._tcp.test" });
    assert.deepEqual(
      addresses.toSorted((one, other) => (one.host < other.host ? -1 : 1)),
      [
        { host: "10.0.0.1", port: 3000, weight: 20, backup: false },
        { host: "10.0.0.2", port: 3001, weight: 10, backup: false },
        { host: "10.0.0.3", port: 3002, weight: 1, backup: true },
      ],
    );
    assert.equal(ttlMs, 30_000);
  });
});

describe("findInHosts()", () => {
  it("reads the format of hosts(5)", () => {
    const text =
      "# 10.0.0.0 a\n10.0.0.1\ta b.test\n::1 a\n\nnonsense a\n10.0.0.2 A # a\n10.0.0.3 ab";
    assert.deepEqual(findInHosts(text, "a"), ["10.0.0.1", "::1", "10.0.0.2"]);
    assert.deepEqual(findInHosts(text, "b.test"), ["10.0.0.1"]);
    assert.deepEqual(findInHosts("", "a"), []);
  });
});

describe("nextResolveMs()", () => {
  it("follows the records within bounds, and waits longer after each failure", () => {
    const cases: [Parameters<typeof nextResolveMs>[0], number][] = [
      [{ ok: true, ttlMs: 20_000 }, 20_000],
      [{ ok: true, ttlMs: 0 }, 1000],
      [{ ok: true, ttlMs: 86_400_000 }, 300_000],
      [{ ok: true, ttlMs: null }, 30_000],
      [{ ok: false, failures: 1 }, 1000],
      [{ ok: false, failures: 3 }, 4000],
      [{ ok: false, failures: 2000 }, 30_000],
    ];
    for (const [outcome, ms] of cases) assert.equal(nextResolveMs(outcome), ms);
  });
});

describe("NameWatch", () => {
  it("follows a name through changes and failures of the DNS", { timeout: 60_000 }, async (t) => {
    const { dns, resolve } = await open(t);
    const events: string[] = [];
    const waiters = new Waiters();
    const note = (event: string): void => {
      events.push(event);
      waiters.release();
    };
    dns.records.set("api.test", [{ type: "A", address: "10.0.0.1", ttl: 0 }]);
    const watch = new NameWatch({
      query: { kind: "host", name: "api.test" },
      resolve,
      onChange: () => note(watch.addresses.map(({ host }) => host).join()),
      onProblem: (error) => note(codeOf(error)),
      onSolved: () => note("solved"),
    });
    t.after(() => watch.close());
    const until = async (count: number): Promise<void> => {
      // The timers of a name keep no process alive.
      const alive = setInterval(() => {}, 1000);
      while (events.length < count) await waiters.wait();
      clearInterval(alive);
    };
    await until(1);
    dns.records.set("api.test", [
      { type: "A", address: "10.0.0.2", ttl: 0 },
      { type: "A", address: "10.0.0.1", ttl: 0 },
    ]);
    await until(2);
    dns.mode = "refuse";
    await until(3);
    assert.equal(watch.addresses.length, 2);
    assert.ok(watch.isFailing);
    dns.mode = "answer";
    dns.records.set("api.test", [{ type: "A", address: "10.0.0.2", ttl: 0 }]);
    await until(5);
    assert.deepEqual(events, ["10.0.0.1", "10.0.0.1,10.0.0.2", "ESERVFAIL", "solved", "10.0.0.2"]);
  });
});

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Groups } from "../../runtime/balance/groups.ts";
import { RuntimeError } from "../../runtime/lib/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { FakeNetwork, toGroupSetting } from "./fake-upstream.ts";

const A = "http://10.0.0.1:80";

function open(t: TestContext): { network: FakeNetwork; groups: Groups } {
  const network = new FakeNetwork();
  const groups = new Groups(network.parts);
  t.after(() => groups.destroy());
  return { network, groups };
}

function config(upstreams: Record<string, unknown>): Parameters<Groups["prepare"]>[0] {
  const settings = Object.entries(upstreams).map(([name, group]) => toGroupSetting(group, name));
  return { upstreams: settings, drainGraceMs: 30_000 };
}

const WISH = { key: null, cookie: null, tried: [], mayRepeat: true };

describe("Groups", () => {
  it("changes nothing before the commit, and nothing at all for the same config", async (t) => {
    const { groups, network } = open(t);
    const first = await groups.prepare(config({ api: A }));
    assert.equal(groups.find("api"), undefined);
    await first?.discard();
    assert.equal(network.opened.length, 0);
    const again = await groups.prepare(config({ api: A }));
    again?.commit();
    assert.ok(groups.find("api") !== undefined);
    assert.equal(await groups.prepare(config({ api: A })), null);
  });

  it("keeps a group and its servers when another one changes", async (t) => {
    const { groups, network } = open(t);
    (await groups.prepare(config({ api: A, web: "http://10.0.0.2" })))?.commit();
    const [api, web] = [groups.find("api"), groups.find("web")];
    (await groups.prepare(config({ api: A, web: "http://10.0.0.3" })))?.commit();
    assert.equal(groups.find("api"), api);
    assert.equal(groups.find("web"), web);
    assert.deepEqual(
      network.opened.map(({ name, closed }) => [name, closed.length]),
      [
        [A, 0],
        ["http://10.0.0.2:80", 1],
        ["http://10.0.0.3:80", 0],
      ],
    );
  });

  it("lets requests that began under the config before ask a group that is gone", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const { groups, network } = open(t);
    (await groups.prepare(config({ api: A })))?.commit();
    const api = groups.find("api");
    (await groups.prepare(config({})))?.commit();
    assert.equal(groups.find("api"), undefined);
    assert.deepEqual(groups.status(), []);
    assert.equal(api?.pick(WISH), network.find(A));
    t.mock.timers.tick(29_999);
    assert.ok(!network.find(A).isDestroyed);
    t.mock.timers.tick(1);
    assert.ok(network.find(A).isDestroyed);
  });

  it("refuses requests that wait when the server ends, and destroys all servers", async (t) => {
    const { groups, network } = open(t);
    (await groups.prepare(config({ api: { servers: A, maxConnections: 1 }, old: A })))?.commit();
    (await groups.prepare(config({ api: { servers: A, maxConnections: 1 } })))?.commit();
    network.opened[0]?.occupy();
    const ends: unknown[] = [];
    groups.find("api")?.wait(WISH, (end) => ends.push(end));
    await turn();
    groups.destroy();
    assert.deepEqual(ends, ["down"]);
    assert.deepEqual(
      network.opened.map(({ isDestroyed }) => isDestroyed),
      [true, true],
    );
  });

  it("refuses files of certificates that cannot be used, with the key of the config", async (t) => {
    const { groups } = open(t);
    const folder = temporaryFolder(t);
    const path = join(folder, "ca.pem");
    writeFileSync(path, "no certificate");
    const cases: [tls: object, message: RegExp][] = [
      [{ ca: join(folder, "none.pem") }, /^Cannot use upstreams\["api"\]\.tls\.ca: found .*ENOENT/],
      [{ ca: path }, /^Cannot use upstreams\["api"\]\.tls\.ca: found .* without PEM/],
      [{ cert: path, key: path }, /^Cannot use upstreams\["api"\]\.tls\.cert: /],
    ];
    for (const [tls, message] of cases) {
      const preparing = groups.prepare(config({ api: { servers: "https://10.0.0.1", tls } }));
      await assert.rejects(preparing, (error) => {
        assert.ok(error instanceof RuntimeError && error.code === "ERR_CONFIG");
        assert.match(error.message, message);
        return true;
      });
    }
  });

  it("verifies certificates, and warns when it does not", async (t) => {
    const { groups, network } = open(t);
    const servers = "https://api.example:8443";
    (await groups.prepare(config({ api: { servers } })))?.commit();
    network.names.set("api.example", {
      addresses: [{ host: "10.0.0.9", port: null, weight: 1, backup: false }],
      ttlMs: null,
    });
    (
      await groups.prepare(config({ on: { servers }, off: { servers, tls: { verify: false } } }))
    )?.commit();
    await turn();
    const tls = network.opened.map(({ options }) => options.tls);
    assert.deepEqual(
      tls.map((each) => [each?.serverName, each?.verifies]),
      [
        ["api.example", true],
        ["api.example", false],
      ],
    );
    const warnings = network.lines.filter(({ msg }) => msg.includes("not verified"));
    assert.deepEqual(
      warnings.map(({ group }) => group),
      ["off"],
    );
  });
});

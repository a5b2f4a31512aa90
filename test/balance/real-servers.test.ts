import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type RequestListener, type Server } from "node:http";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import pino from "pino";
import { Group, type Wish } from "../../runtime/balance/group.ts";
import { createResolveName } from "../../runtime/balance/names/resolve-name.ts";
import type { UpstreamServer } from "../../runtime/upstream/exchange.ts";
import { openUpstreamServer } from "../../runtime/upstream/http1-server.ts";
import { DnsServer } from "../helpers/dns-server.ts";
import { eventually } from "../helpers/eventually.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { toGroupSetting } from "./fake-upstream.ts";

const GET: Wish = { key: null, cookie: null, tried: [], mayRepeat: true };

const TIMEOUT = { timeout: 180_000 };

async function listen(
  t: TestContext,
  at: { port: number; host: string } | { path: string },
  answer: RequestListener,
): Promise<Server> {
  const server = createServer(answer);
  server.listen(at);
  await once(server, "listening");
  t.after(() => end(server));
  return server;
}

/** Ends a server with all its connections. */
async function end(server: Server): Promise<void> {
  server.closeAllConnections();
  if (!server.listening) return;
  server.close();
  await once(server, "close");
}

function portOf(server: Server): number {
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  return address.port;
}

async function openGroup(
  t: TestContext,
  setting: unknown,
  { dns, now = () => performance.now() }: { dns?: DnsServer; now?: () => number } = {},
): Promise<Group> {
  const hostsFile = "/nowhere/hosts";
  const resolve = createResolveName(
    dns === undefined ? { hostsFile } : { servers: dns.resolver(), hostsFile },
  );
  const group = new Group(
    { setting: toGroupSetting(setting), tls: { ca: null, certificate: null }, graceMs: 1000 },
    {
      open: openUpstreamServer,
      resolve,
      log: pino({ enabled: false }),
      now,
    },
  );
  t.after(() => group.destroy());
  // The timers of a group keep no process alive.
  const alive = setInterval(() => {}, 60_000);
  t.after(() => clearInterval(alive));
  return group;
}

/** Sends a GET to a server of the group, and reports its end to the group. Returns the body, or the reason of a failure. */
function get(group: Group, server: UpstreamServer | null): Promise<string> {
  return new Promise((done) => {
    if (server === null) {
      done("no server");
      return;
    }
    let body = "";
    server.open(
      {
        method: "GET",
        target: "/",
        fields: "host\na.test",
        body: null,
        bodyBytes: null,
        upgrade: null,
        timeouts: null,
      },
      {
        onInformational() {},
        onHead: () => group.succeeded(server, 1),
        onChunk: (bytes) => (body += Buffer.from(bytes).toString()),
        onEnd: () => done(body),
        onUpgraded: () => done("upgraded"),
        onDrain() {},
        onFailed(failure) {
          group.failed(server, failure);
          done(failure.code ?? failure.reason);
        },
      },
    );
  });
}

function states(group: Group): string[] {
  return group.status().servers.map(({ state }) => state);
}

describe("Group with real servers", () => {
  it("leaves out a server that ended, and returns to it after a probe", TIMEOUT, async (t) => {
    const one = await listen(t, { host: "127.0.0.1", port: 0 }, (_, response) =>
      response.end("one"),
    );
    const path = join(temporaryFolder(t), "two.sock");
    await listen(t, { path }, (_, response) => response.end("two"));
    const port = portOf(one);
    const health = { outTime: "100ms", slowStart: "0s" };
    const servers = [`http://127.0.0.1:${port}`, `unix:${path}`];
    // The time stands still at first: the probes of a server begin when its time out of the group is over.
    let nowMs = 1_000;
    const setting = { servers, health, balance: "round-robin" };
    const group = await openGroup(t, setting, { now: () => nowMs });
    const bodies = [await get(group, group.pick(GET)), await get(group, group.pick(GET))];
    assert.deepEqual(bodies, ["one", "two"]);

    await end(one);
    while (!states(group).includes("out")) await get(group, group.pick(GET));
    assert.deepEqual(
      [await get(group, group.pick(GET)), await get(group, group.pick(GET))],
      ["two", "two"],
    );
    await listen(t, { host: "127.0.0.1", port }, (_, response) => response.end("one again"));
    nowMs += 100;
    await eventually(t, () => states(group).includes("trial"));
    assert.equal(await get(group, group.pick(GET)), "one again");
    assert.deepEqual(states(group), ["up", "up"]);
  });

  it("follows the statuses of a health check", TIMEOUT, async (t) => {
    let status = 200;
    const urls: (string | undefined)[] = [];
    const answer: RequestListener = ({ url }, response) => {
      urls.push(url);
      response.writeHead(status).end("checked");
    };
    const one = await listen(t, { host: "127.0.0.1", port: 0 }, answer);
    const two = await listen(t, { host: "127.0.0.1", port: 0 }, (_, response) => response.end());
    const health = { path: "/healthz", interval: "100ms", rise: 2, fall: 2, outTime: "100ms" };
    const servers = [one, two].map((each) => `http://127.0.0.1:${portOf(each)}`);
    const group = await openGroup(t, { servers, health });
    status = 503;
    await eventually(t, () => group.status().servers[0]?.state !== "up");
    assert.equal(
      group.status().servers[0]?.lastReason,
      "the health check got 503, expected 2xx, 3xx",
    );
    status = 200;
    await eventually(t, () => ["up", "slow start"].includes(states(group)[0] ?? ""));
    assert.deepEqual(new Set(urls), new Set(["/healthz"]));
  });

  it(
    "moves with the addresses of a name, and starts before the DNS answers",
    TIMEOUT,
    async (t) => {
      const dns = await DnsServer.start(t);
      dns.mode = "refuse";
      const first = await listen(t, { host: "127.0.0.2", port: 0 }, (_, response) =>
        response.end("first"),
      );
      const port = portOf(first);
      await listen(t, { host: "127.0.0.3", port }, (_, response) => response.end("second"));
      dns.records.set("api.test", [{ type: "A", address: "127.0.0.2", ttl: 1 }]);
      const servers = `http://api.test:${port}`;
      const group = await openGroup(t, { servers, queueTimeout: "1h" }, { dns });
      assert.equal(group.pick(GET), null);
      const placed = new Promise<unknown>((done) => void group.wait(GET, done));
      await eventually(t, () => group.status().unresolved.length > 0 && dns.queries.length > 0);
      dns.mode = "answer";
      const server = await placed;
      // A group ends a wait with a server, or with the reason of a refusal.
      assert.equal(typeof server, "object");
      assert.equal(await get(group, server as UpstreamServer), "first");

      dns.records.set("api.test", [{ type: "A", address: "127.0.0.3", ttl: 1 }]);
      await eventually(t, () =>
        group.status().servers.some(({ name }) => name.includes("127.0.0.3")),
      );
      await eventually(t, () => states(group).every((state) => state !== "draining"));
      assert.equal(await get(group, group.pick(GET)), "second");
    },
  );
});

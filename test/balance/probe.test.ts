import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:net";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { matchesStatus, probeConnection, probePath } from "../../runtime/balance/probe.ts";
import type { UpstreamAddress } from "../../runtime/upstream/server-options.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { FakeNetwork, type FakeUpstream } from "./fake-upstream.ts";

function probe(address: UpstreamAddress): Promise<string | null> {
  return new Promise((done) => probeConnection(address, { timeoutMs: 30_000 }, done));
}

async function listen(t: TestContext, at: { port: number } | { path: string }): Promise<Server> {
  const server = createServer((socket) => socket.on("error", () => {}).resume());
  server.listen(at);
  await once(server, "listening");
  t.after(() => server.close());
  return server;
}

describe("probeConnection()", () => {
  it("passes where a process listens, on a port and on a socket", async (t) => {
    const server = await listen(t, { port: 0 });
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    assert.equal(await probe({ kind: "tcp", host: "127.0.0.1", port: address.port }), null);
    assert.equal(await probe({ kind: "tcp", host: "localhost", port: address.port }), null);
    const path = join(temporaryFolder(t), "api.sock");
    await listen(t, { path });
    assert.equal(await probe({ kind: "unix", path }), null);
  });

  it("names the reason where none listens", async (t) => {
    const server = await listen(t, { port: 0 });
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    server.close();
    await once(server, "close");
    const { port } = address;
    assert.match((await probe({ kind: "tcp", host: "127.0.0.1", port })) ?? "", /ECONNREFUSED/);
    assert.match((await probe({ kind: "tcp", host: "localhost", port })) ?? "", /ECONNREFUSED/);
    const path = join(temporaryFolder(t), "none.sock");
    assert.match((await probe({ kind: "unix", path })) ?? "", /ENOENT/);
  });

  it("says nothing after it was ended", async (t) => {
    const server = await listen(t, { port: 0 });
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    const { port } = address;
    const results: (string | null)[] = [];
    const note = (result: string | null): void => void results.push(result);
    const stop = probeConnection({ kind: "tcp", host: "127.0.0.1", port }, { timeoutMs: 9 }, note);
    stop();
    assert.equal(await probe({ kind: "tcp", host: "127.0.0.1", port }), null);
    assert.deepEqual(results, []);
  });
});

function open(): FakeUpstream {
  const network = new FakeNetwork();
  network.parts.open({
    name: "http://a:80",
    address: { kind: "tcp", host: "a", port: 80 },
    tls: null,
    limits: { headBytes: 1, fields: 1, idleConnections: 1, keepAliveMs: 1 },
    timeouts: { connectMs: 1, firstByteMs: 1, idleMs: 1 },
    onSettled: null,
  });
  return network.find("http://a:80");
}

describe("probePath()", () => {
  const check = {
    path: "/healthz",
    intervalMs: 1,
    timeoutMs: 100,
    rise: 1,
    fall: 1,
    statuses: ["2xx"],
    host: "api.internal",
  };

  it("asks with the host of the config, and ends once", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const results: (string | null)[] = [];
    const server = open();
    const start = (): (() => void) => probePath(server, check, (problem) => results.push(problem));
    start();
    assert.match(server.requests[0]?.fields ?? "", /^host\napi\.internal\n/);
    server.answer(204);
    start();
    server.answer(404);
    start();
    t.mock.timers.tick(100);
    assert.equal(server.inFlight, 0, "a late exchange is aborted");
    start()();
    assert.equal(server.inFlight, 0);
    t.mock.timers.tick(1000);
    assert.deepEqual(results, [
      null,
      "the health check got 404, expected 2xx",
      "the health check got no answer within 100 ms",
    ]);
  });

  it("does not read a large body to its end", () => {
    const server = open();
    probePath(server, check, () => {});
    server.send(new Uint8Array(60_000));
    assert.equal(server.inFlight, 1);
    server.send(new Uint8Array(60_000));
    assert.equal(server.inFlight, 0);
  });
});

describe("matchesStatus()", () => {
  it("knows statuses and classes", () => {
    const cases: [status: number, statuses: string[], matches: boolean][] = [
      [200, ["2xx"], true],
      [302, ["2xx"], false],
      [401, ["2xx", "401"], true],
      [404, ["401"], false],
      [200, [], false],
    ];
    for (const [status, statuses, matches] of cases) {
      assert.equal(matchesStatus(status, statuses), matches, `${status} ${statuses.join()}`);
    }
  });
});

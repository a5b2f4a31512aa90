import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { describe, it, type TestContext } from "node:test";
import { FIXTURE_HANDLERS } from "../helpers/fixture-handlers.ts";
import { HttpClient } from "../helpers/http-client.ts";
import { Load } from "../helpers/load.ts";
import { startServer } from "../helpers/start-server.ts";

interface Result {
  status: number;
  /** Of the worker that answered; `NaN` for an answer of the primary. */
  pid: number;
  isOwnAnswer: boolean;
}

function startTokenLoad(t: TestContext, client: HttpClient, concurrency: number): Load<Result> {
  return new Load(t, concurrency, async (number) => {
    const token = `t${number}`;
    const { status, headers, body } = await client.request(`/token?token=${token}&delay=1`);
    return { status, pid: Number(headers["x-pid"]), isOwnAnswer: String(body) === `${token};` };
  });
}

describe("a worker that is killed under load", { timeout: 600_000 }, () => {
  it("costs nothing that can be sent again, and is replaced at once", async (t) => {
    const flags = ["--log-level", "debug", "--access-log", "off"];
    const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS, flags });
    const client = new HttpClient(t, server.http, { connections: 32 });
    const load = startTokenLoad(t, client, 32);
    await load.until(500);

    const [[lostId, lostPid] = [0, 0]] = server.workers;
    process.kill(lostPid, "SIGKILL");
    const exited = await server.until(
      ({ msg, workerId }) => msg?.startsWith("worker exited") === true && workerId === lostId,
    );
    await server.until(({ msg, workerId }) => msg === "worker ready" && workerId === 3);
    const newPid = server.workers.get(3);
    await load.until(200, ({ pid }) => pid === newPid);
    const results = await load.stop();

    // No connection failed: that would have been thrown.
    assert.ok(results.every(({ status, isOwnAnswer }) => status === 200 && isOwnAnswer));
    const saved = server.logs.find(({ msg }) => msg === "exchanges go to another worker");
    assert.ok(Number(saved?.["replayed"] ?? 0) <= 32);

    assert.deepEqual(
      [exited["code"], exited["signal"], exited["cause"]],
      [null, "SIGKILL", "killed"],
    );
    // How long a boot takes, this machine decides. A worker with a short life is replaced a moment later.
    assert.ok(Number(exited["restartInMs"]) <= 250, JSON.stringify(exited));
  });

  it("is replaced again and again, and when it is the only one requests wait for the next", async (t) => {
    const server = await startServer(t, { handlers: FIXTURE_HANDLERS, workers: 1 });
    for (let id = 1; id <= 3; id++) {
      await server.until(({ msg, workerId }) => msg === "worker ready" && workerId === id);
      const pid = server.workers.get(id) ?? 0;
      process.kill(pid, "SIGKILL");
      await server.until(
        ({ msg, workerId }) => msg?.startsWith("worker exited") === true && workerId === id,
      );
      const response = await server.fetch("/token?token=waited");
      assert.deepEqual([response.status, await response.text()], [200, "waited;"]);
    }
  });

  it("takes nothing of an exchange that waits with another worker", async (t) => {
    const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS });
    const began = async (path: string): Promise<number> =>
      Number((await server.until((line) => line.msg === "began" && line["path"] === path))["pid"]);
    const file = `${server.dir}/go`;
    const kept = server.fetch(`/waits-for-file?file=${file}`);
    const keeper = await server.until((line) => line.msg === "began" && line["file"] === file);
    // The other worker is less busy, so it gets the next.
    const lost = server.fetch("/never-answers?1", { method: "POST" });
    const pid = await began("/never-answers?1");
    assert.notEqual(pid, keeper["pid"]);
    process.kill(pid, "SIGKILL");
    assert.equal((await lost).status, 502);
    writeFileSync(file, "");
    assert.equal((await kept).status, 200);
  });
});

describe("a worker that is stopped", { timeout: 600_000 }, () => {
  it("holds up only what it has, and finishes that when it goes on", async (t) => {
    // However long a slow machine needs until it goes on.
    const flags = ["--hang-timeout", "10m", "--request-timeout", "10m"];
    const server = await startServer(t, { workers: 2, handlers: FIXTURE_HANDLERS, flags });
    const client = new HttpClient(t, server.http, { connections: 20 });
    const [[, stoppedPid] = [0, 0], [, otherPid] = [0, 0]] = server.workers;
    process.kill(stoppedPid, "SIGSTOP");
    t.after(() => {
      // It may be gone if the test failed half-way.
      try {
        process.kill(stoppedPid, "SIGCONT");
      } catch {}
    });
    const load = startTokenLoad(t, client, 20);
    await load.until(300, ({ pid }) => pid === otherPid);
    const atStop = load.results.filter(({ pid }) => pid === stoppedPid).length;
    process.kill(stoppedPid, "SIGCONT");
    await load.until(atStop + 1, ({ pid }) => pid === stoppedPid);
    const results = await load.stop();
    assert.ok(results.every(({ status, isOwnAnswer }) => status === 200 && isOwnAnswer));
    assert.deepEqual(
      [...server.workers.keys()].toSorted((a, b) => a - b),
      [1, 2],
    );
  });
});

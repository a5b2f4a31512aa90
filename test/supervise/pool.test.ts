import assert from "node:assert/strict";
import cluster from "node:cluster";
import { EventEmitter } from "node:events";
import { existsSync } from "node:fs";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { OomKills } from "../../runtime/supervise/oom-kills.ts";
import { type LogLine, request, Trial } from "./pool-trial.ts";

/** Makes forks fail: as node:cluster does when memory, descriptors or processes run out. */
const FAILURES: Record<string, () => never> = {
  ENOMEM: () => {
    throw new Error("spawn ENOMEM");
  },
  EMFILE: () => failLater("EMFILE"),
  EAGAIN: () => failLater("EAGAIN", [null, null, null, null, null]),
};

function failLater(code: string, stdio?: unknown[]): never {
  const worker = Object.assign(new EventEmitter(), {
    id: 1_000,
    process: Object.assign(new EventEmitter(), { pid: undefined, stdio }),
  });
  process.nextTick(() => worker.emit("error", new Error(`spawn ${code}`)));
  // It has the properties of a worker that the pool reads.
  return worker as never;
}

describe("Pool", { timeout: 120_000 }, () => {
  it("counts a fork that fails as a failed boot, and tries again later", async (t) => {
    const trial = new Trial(t);
    await trial.pool.start();
    const failures = Object.values(FAILURES);
    const fork = cluster.fork.bind(cluster);
    t.mock.method(cluster, "fork", (env?: unknown) => (failures.shift() ?? fork)(env));
    trial.worker.kill();
    await trial.until("ready 5");
    const failed = trial.logs.filter(({ msg }) => msg === "cannot fork a worker");
    assert.deepEqual(
      failed.map(({ restartInMs, code }) => [restartInMs, code]),
      [100, 200, 400].map((ms) => [ms, "ERR_BOOT_LOOP"]),
    );
    assert.match(failed[0]?.err?.message ?? "", /ENOMEM/);
    assert.equal(cluster.workers?.[1_000], undefined);
  });

  it("does not start when a fork fails", async (t) => {
    for (const fail of Object.values(FAILURES)) {
      const trial = new Trial(t, { workers: 2 });
      const mock = t.mock.method(cluster, "fork", fail);
      await assert.rejects(trial.pool.start(), { code: "ERR_BOOT_LOOP", message: /^Cannot fork/ });
      mock.mock.restore();
    }
  });

  it("ends a worker that sends another message before its hello", async (t) => {
    const trial = new Trial(t, { plan: "skip the hello" });
    await assert.rejects(trial.pool.start(), { code: "ERR_BOOT_LOOP" });
    const line = await trial.untilLog(({ msg }) => msg.startsWith("worker broke the protocol"));
    assert.match(line.err?.message ?? "", /expected its hello/);
    assert.deepEqual(trial.events, ["lost 1, breach"]);
  });

  it("survives a bug in the handling of a worker's message, and replaces the worker", async (t) => {
    const trial = new Trial(t);
    await trial.pool.start();
    trial.onMessage = () => {
      throw new TypeError("a bug of ours");
    };
    request(trial.worker);
    await trial.until("ready 2");
    assert.deepEqual(trial.events, ["ready 1", "lost 1, breach", "ready 2"]);
    const line = await trial.untilLog(({ msg }) => msg.includes("bug"));
    assert.match(line.err?.stack ?? "", /TypeError: a bug of ours\n +at /);
  });

  it("replaces a healthy worker at once while another place goes on waiting", async (t) => {
    const trial = new Trial(t, { workers: 2 });
    await trial.pool.start();
    const [first, second] = trial.pool.workers;
    // Both have served for long.
    const now = performance.now.bind(performance);
    t.mock.method(performance, "now", () => now() + 60_000);
    trial.plan("exit");
    first?.kill();
    await trial.untilLog(({ restartInMs }) => restartInMs === 800);
    trial.plan("");
    second?.kill();
    const exited = await trial.untilLog(
      ({ msg, workerId }) => msg.startsWith("worker exited") && workerId === 2,
    );
    assert.equal(exited.restartInMs, 0);
    const later = trial.logs.slice(trial.logs.indexOf(exited) + 1);
    assert.deepEqual(
      later.map(({ msg }) => msg),
      ["worker starting"],
    );
    await trial.until(`ready ${later[0]?.workerId}`);
    await trial.until(`ready ${Number(later[0]?.workerId) + 1}`);
  });

  it("knows the vitals of its workers", async (t) => {
    // A tick is a quarter of it.
    const trial = new Trial(t, { hangTimeoutMs: 2_000 });
    await trial.pool.start();
    assert.equal(trial.worker.vitals, null);
    await eventually(t, () => trial.worker.vitals !== null);
    const { vitals } = trial.worker;
    assert.deepEqual(vitals, { rssBytes: 3, heapUsedBytes: 2, loopUtilization: 0.1 });
  });

  it("says that the kernel killed a worker for its memory, and how much it had", async (t) => {
    let kills = 0;
    const trial = new Trial(t, { oomKills: new OomKills(() => kills) });
    await trial.pool.start();
    const killed = (id: number): Promise<LogLine> =>
      trial.untilLog(({ msg, workerId }) => msg.startsWith("worker exited") && workerId === id);
    kills++;
    process.kill(trial.worker.pid, "SIGKILL");
    const line = await killed(1);
    const text = "worker exited, replacing it: the kernel killed it because memory ran out";
    assert.deepEqual([line.msg, line.oomKilled], [text, true]);
    assert.ok(Number(line.rssBytes) > 0, `${line.rssBytes} bytes`);
    assert.ok(trial.events.includes("lost 1, crashed"));
    // Another process kills this one: the counter explains one exit only.
    await trial.until("ready 2");
    process.kill(trial.worker.pid, "SIGKILL");
    const other = await killed(2);
    assert.deepEqual([other.msg, other.oomKilled], ["worker exited, replacing it", undefined]);
    assert.ok(trial.events.includes("lost 2, killed"));
  });

  it("reports a silent worker, then kills and replaces it", async (t) => {
    const trial = new Trial(t, { plan: "never answer a ping", hangTimeoutMs: 200 });
    await trial.pool.start();
    const { worker } = trial;
    trial.plan("");
    await trial.until("ready 2");
    assert.deepEqual(trial.events, ["ready 1", "stalled 1", "lost 1, hung", "ready 2"]);
    assert.equal((await worker.exited).signal, "SIGKILL");
    const hung = await trial.untilLog(({ msg }) => msg.startsWith("worker hangs"));
    assert.deepEqual([hung.workerId, hung.exchanges], [1, 7]);
  });

  it("starts no worker after its end, though a place waits", async (t) => {
    const trial = new Trial(t);
    await trial.pool.start();
    const failing = trial.untilLog(({ restartInMs }) => restartInMs === 200);
    trial.plan("exit");
    trial.worker.kill();
    await failing;
    await trial.pool.close(1_000);
    const starts = trial.logs.length;
    await delay(400);
    assert.equal(trial.logs.length, starts);
  });

  it("handles the last messages of a worker that exited before it reports the loss", async (t) => {
    const trial = new Trial(t);
    await trial.pool.start();
    const { worker } = trial;
    request(worker);
    // The exit is seen before the answer, as if this process had been slow to read.
    for (const each of Object.values(cluster.workers ?? {})) each?.emit("exit", 0, null);
    await trial.until("ready 2");
    assert.deepEqual(trial.events, ["ready 1", "message 1", "lost 1, crashed", "ready 2"]);
  });

  it("kills its workers when the process exits, until the pool has ended", async (t) => {
    const before = process.listeners("exit");
    const trial = new Trial(t);
    await trial.pool.start();
    const { worker } = trial;
    const added = process.listeners("exit").filter((listener) => !before.includes(listener));
    assert.equal(added.length, 1);
    // As the last act of a process.
    for (const listener of added) listener(0);
    assert.equal((await worker.exited).signal, "SIGKILL");
    await trial.pool.close(1_000);
    assert.ok(!process.listeners("exit").some((listener) => added.includes(listener)));
    assert.ok(!existsSync(`/proc/${worker.pid}/cwd`));
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OomKills } from "../../runtime/supervise/oom-kills.ts";
import { FIRST, MIB, NO_RECYCLING, request, Trial } from "./pool-trial.ts";

describe("Pool, which keeps its workers fresh", { timeout: 300_000 }, () => {
  it("replaces a worn worker: first the fresh one serves, then the worn one retires", async (t) => {
    const trial = new Trial(t, { workers: 2, recycle: { ...NO_RECYCLING, requests: 10 } });
    await trial.pool.start();
    trial.events.length = 0;
    trial.requests.set(FIRST, 10);
    await trial.until("lost 1, retired");
    assert.deepEqual(trial.events, ["ready 3", "retire 1", "lost 1, retired"]);
    const exited = await trial.untilLog(({ msg }) => msg === "worker exited");
    assert.deepEqual([exited.workerId, exited.code], [1, 0]);
    assert.equal(trial.pool.ready, 2);
  });

  it("keeps a worn worker while no fresh one can boot", async (t) => {
    const trial = new Trial(t, { recycle: { ...NO_RECYCLING, requests: 10 } });
    await trial.pool.start();
    trial.plan("exit");
    trial.requests.set(FIRST, 10);
    await trial.untilLog(({ restartInMs }) => restartInMs === 200);
    assert.deepEqual([trial.pool.ready, trial.events.includes("retire 1")], [1, false]);
    trial.plan("");
    await trial.until("lost 1, retired");
    assert.equal(trial.events.indexOf("down"), -1);
    assert.equal(trial.pool.ready, 1);
  });

  it("grows and shrinks in order when it is resized", async (t) => {
    const trial = new Trial(t);
    await trial.pool.start();
    assert.equal(trial.pool.resize(3), 3);
    await trial.until("ready 2");
    await trial.until("ready 3");
    assert.equal(trial.pool.resize(0), 1);
    await trial.until("lost 1, retired");
    await trial.until("lost 2, retired");
    assert.equal(trial.pool.ready, 1);
    assert.ok(trial.events.indexOf("retire 1") < trial.events.indexOf("lost 1, retired"));
  });

  it("kills a surplus worker that starts, and never lets it serve", async (t) => {
    const trial = new Trial(t);
    await trial.pool.start();
    trial.pool.resize(2);
    const starting = trial.pool.workers.at(-1);
    trial.pool.resize(1);
    assert.equal((await starting?.exited)?.cause, "retired");
    assert.deepEqual(
      trial.events.filter((event) => !event.startsWith("lost")),
      ["ready 1"],
    );
  });

  it("replaces a worker that has grown, and kills a worker that grows too quickly", async (t) => {
    const trial = new Trial(t, { recycle: { ...NO_RECYCLING, memoryBytes: 300 * MIB } });
    await trial.pool.start();
    request(trial.worker, { mib: 280 });
    await trial.until("lost 1, retired");
    // A blocked worker cannot drain.
    const second = trial.pool.workers.at(-1) ?? assert.fail("no worker");
    request(second, { mib: 500, blocks: true });
    await trial.until("lost 2, crashed");
    await trial.until("ready 3");
    const events = trial.events.filter((event) => /ready|retire 1|lost/.test(event));
    assert.deepEqual(events.slice(0, 4), ["ready 1", "ready 2", "retire 1", "lost 1, retired"]);
    // An inspection may find it worn before it is too large. Then a fresh worker starts before the loss.
    assert.deepEqual(events.slice(4).toSorted(), ["lost 2, crashed", "ready 3"]);
    const killed = await trial.untilLog(({ msg }) => msg.includes("too much memory"));
    assert.equal(killed.workerId, 2);
  });

  it("applies a lower limit to workers that run, but not a higher one", async (t) => {
    const trial = new Trial(t, { recycle: { ...NO_RECYCLING, memoryBytes: 300 * MIB } });
    await trial.pool.start();
    trial.pool.limitMemory(1000 * MIB);
    request(trial.worker, { mib: 280 });
    await trial.until("lost 1, retired");
    const second = trial.pool.workers.at(-1) ?? assert.fail("no worker");
    request(second, { mib: 280 });
    trial.pool.limitMemory(250 * MIB);
    await trial.until("lost 2, retired");
  });

  it("is down while no worker can boot, and up again when a worker can", async (t) => {
    const trial = new Trial(t);
    await trial.pool.start();
    trial.plan("exit");
    trial.worker.kill();
    await trial.until("down");
    trial.plan("");
    await trial.until("up");
    assert.deepEqual(
      trial.events.filter((event) => ["down", "up", "ready 1"].includes(event)),
      ["ready 1", "down", "up"],
    );
    assert.equal(trial.logs.filter(({ msg }) => msg.includes("the pool is down")).length, 1);
  });

  it("adds a worker when exchanges wait, up to maxWorkers", async (t) => {
    const trial = new Trial(t, { maxWorkers: 2, queueAgeMs: () => 1_000 });
    await trial.pool.start();
    await trial.until("ready 2");
    assert.equal(trial.pool.desired, 2);
    const line = await trial.untilLog(({ msg }) => msg === "pool changes its size");
    assert.equal(trial.logs.filter(({ msg }) => msg === line.msg).length, 1);
  });

  it("gives notice of the end of the grace, once and before it, to a worker that does not drain", async (t) => {
    const recycle = { ...NO_RECYCLING, requests: 10 };
    const trial = new Trial(t, { plan: "never drain", retireGraceMs: 1_000, recycle });
    await trial.pool.start();
    trial.plan("");
    trial.events.length = 0;
    trial.requests.set(FIRST, 10);
    await trial.until("lost 1, retired");
    assert.deepEqual(trial.events, ["ready 2", "retire 1", "notice 1", "lost 1, retired"]);
    const exited = await trial.untilLog(({ msg }) => msg === "worker exited");
    assert.equal(exited.workerId, 1);
  });

  it("tells a worker that retires the shorter grace when it closes, and no longer one", async (t) => {
    const recycle = { ...NO_RECYCLING, requests: 10 };
    const plan = "drain when told twice";
    const trial = new Trial(t, { plan, retireGraceMs: 600_000, recycle });
    await trial.pool.start();
    const { worker } = trial;
    trial.plan("");
    trial.requests.set(FIRST, 10);
    await trial.until("retire 1");
    const { state } = worker;
    assert.equal(state.kind, "draining");
    const send = t.mock.method(worker.channel, "send");
    worker.drain(700_000);
    assert.equal(send.mock.callCount(), 0);
    assert.deepEqual(worker.state, state);
    await trial.pool.close(60_000);
    const { code, cause } = await worker.exited;
    assert.deepEqual([code, cause], [0, "retired"]);
  });

  it("ends a worker that retires with the others when it closes", async (t) => {
    const oomKills = new OomKills(() => 0);
    const take = t.mock.method(oomKills, "take");
    const options = { workers: 2, plan: "never drain", retireGraceMs: 600_000, oomKills };
    const trial = new Trial(t, options);
    await trial.pool.start();
    trial.pool.resize(1);
    assert.ok(trial.events.includes("retire 1"));
    await trial.pool.close(50);
    assert.deepEqual(trial.pool.workers, []);
    // The primary itself has killed both: no kill of the kernel explains that.
    assert.equal(take.mock.callCount(), 0);
  });
});

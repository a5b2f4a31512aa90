import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { ExchangeId } from "../../runtime/channel/messages.ts";
import { type CronClock, CronJobs, type CronJobsOptions } from "../../runtime/cron/cron-jobs.ts";
import { foldJournal } from "../../runtime/cron/journal.ts";
import { type RunLease, RunLeases } from "../../runtime/cron/run-leases.ts";
import type { ScheduledHandler } from "../../runtime/handlers/site-routes.ts";
import type { Client } from "../../runtime/http/client.ts";
import { toRefusal } from "../../runtime/http/reply.ts";
import type { RedisStoreSetting } from "../../runtime/lib/binding-settings.ts";
import { type Schedule, toSchedules } from "../../runtime/lib/schedules.ts";
import { eventually } from "../helpers/eventually.ts";
import { createFakeLog, type FakeLog } from "../helpers/fake-log.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";
import { FakeStore } from "./fake-store.ts";

const MINUTE = 60_000;
const START = Date.parse("2026-06-01T12:00:00Z");

class FakeClock implements CronClock {
  ms = START;
  /** Timers do not follow changes of the time. */
  #timerMs = 0;
  readonly #timers = new Set<{ atMs: number; callback: () => void }>();

  now = (): number => this.ms;

  after = (ms: number, callback: () => void): (() => void) => {
    const timer = { atMs: this.#timerMs + ms, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  };

  /** Lets time pass, with all timers on the way. */
  advance(ms: number): void {
    const endMs = this.#timerMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ atMs }) => atMs <= endMs);
      const [next] = due.toSorted((a, b) => a.atMs - b.atMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#pass(next.atMs);
      next.callback();
    }
    this.#pass(endMs);
  }

  /** Time that passes while the process is stopped: timers are late. */
  sleep(ms: number): void {
    this.ms += ms;
    this.advance(30_000);
  }

  #pass(timerMs: number): void {
    this.ms += timerMs - this.#timerMs;
    this.#timerMs = timerMs;
  }
}

/** Handlers that tests answer for. */
class FakeHandler {
  readonly times: number[] = [];
  readonly #events = new EventEmitter();
  #clients: Client[] = [];

  with(schedule: Partial<Schedule> & { cron: string }, pattern = "/job"): ScheduledHandler {
    const [whole] = toSchedules(schedule) ?? [];
    assert.ok(whole !== undefined);
    return {
      id: `default job.ts ${whole.cron} ${whole.timeZone}`,
      site: "default",
      pattern,
      file: "job.ts",
      pool: "default",
      handler: 0,
      schedule: whole,
      timeoutMs: 30_000,
      run: (client, url) => {
        this.times.push(Number(new URL(url).searchParams.get("scheduled-time")));
        this.#clients.push(client);
        this.#events.emit("call");
      },
    };
  }

  /** Waits until so many runs have begun. */
  async began(count: number): Promise<void> {
    // Timers of the tested code may not keep the process alive.
    const alive = setInterval(() => {}, 60_000);
    try {
      while (this.times.length < count) await once(this.#events, "call");
    } finally {
      clearInterval(alive);
    }
  }

  /** Ends the oldest run. */
  end(status = 204): void {
    this.#clients.shift()?.reply(toRefusal(status));
  }
}

interface Setup {
  clock: FakeClock;
  handler: FakeHandler;
  fake: FakeLog;
  stateDir: string;
  create: (own?: Pick<CronJobsOptions, "openStore" | "leaseMs">) => CronJobs;
}

function setUp(t: Owner): Setup {
  const stateDir = temporaryFolder(t);
  const [clock, fake, handler] = [new FakeClock(), createFakeLog(), new FakeHandler()];
  let id = 0;
  // Numbers are ids in this test only.
  const nextId = (): ExchangeId => ++id as ExchangeId;
  const { log } = fake;
  const create: Setup["create"] = (own = {}) =>
    new CronJobs({ log, stateDir, nextId, clock, onFailure: () => {}, ...own });
  return { clock, handler, fake, stateDir, create };
}

function ended({ lines }: FakeLog): unknown[] {
  return lines.flatMap(({ msg, result }) =>
    String(msg).startsWith("scheduled run ended") ? [result] : [],
  );
}

async function untilEnded(fake: FakeLog, count: number): Promise<void> {
  await fake.until(() => ended(fake).length >= count);
}

describe("CronJobs", { timeout: 60_000 }, () => {
  it("runs at each time, notes the results, and ends", async (t) => {
    const { clock, handler, fake, create } = setUp(t);
    const jobs = create();
    await jobs.use([handler.with({ cron: "* * * * *" })]);
    const results = [204, 500, 504, 502, 503];
    for (const [index, status] of results.entries()) {
      clock.advance(MINUTE);
      await handler.began(index + 1);
      handler.end(status);
      await untilEnded(fake, index + 1);
    }
    assert.deepEqual(
      handler.times,
      [1, 2, 3, 4, 5].map((minute) => START + minute * MINUTE),
    );
    const expected = ["done", "failed", "timed out", "worker lost", "refused"];
    assert.deepEqual(ended(fake), expected);
    const [info] = jobs.info;
    assert.deepEqual(info?.runs, Object.fromEntries(expected.map((result) => [result, 1])));
    assert.equal(info?.lastSuccess, "2026-06-01T12:01:00.000Z");
    assert.equal(info?.next, "2026-06-01T12:06:00.000Z");
    await jobs.close();
    clock.advance(10 * MINUTE);
    assert.equal(handler.times.length, 5);
  });

  for (const { overlap, begun, skipped, waiting } of [
    { overlap: "skip", begun: 1, skipped: 2, waiting: 0 },
    { overlap: "queue", begun: 1, skipped: 0, waiting: 2 },
    { overlap: "allow", begun: 3, skipped: 0, waiting: 0 },
  ] as const) {
    it(`with overlap "${overlap}" while a run takes longer`, async (t) => {
      const { clock, handler, fake, create } = setUp(t);
      const jobs = create();
      await jobs.use([handler.with({ cron: "* * * * *", overlap })]);
      clock.advance(3 * MINUTE);
      await handler.began(begun);
      assert.equal(handler.times.length, begun);
      assert.equal(jobs.info[0]?.skipped, skipped);
      assert.equal(jobs.info[0]?.waiting, waiting);
      for (let index = 1; index <= begun + waiting; index++) {
        await handler.began(index);
        handler.end();
        await untilEnded(fake, index);
      }
      assert.equal(handler.times.length, begun + waiting);
      await jobs.close();
    });
  }

  for (const { catchUp, times } of [
    { catchUp: "none", times: [] },
    { catchUp: "one", times: [3] },
    { catchUp: "all", times: [1, 2, 3] },
  ] as const) {
    it(`with catchUp "${catchUp}" after three hours without server`, async (t) => {
      const { clock, handler, fake, create } = setUp(t);
      const scheduled = handler.with({ cron: "0 * * * *", catchUp });
      const before = create();
      await before.use([scheduled]);
      await before.close();
      clock.ms += 3 * 60 * MINUTE + MINUTE;
      const jobs = create();
      await jobs.use([scheduled]);
      for (const index of times.keys()) {
        await handler.began(index + 1);
        handler.end();
        await untilEnded(fake, index + 1);
      }
      assert.deepEqual(
        handler.times,
        times.map((hour) => START + hour * 60 * MINUTE),
      );
      assert.equal(jobs.info[0]?.missed, 3);
      const missed = fake.lines.find(({ msg }) => msg === "scheduled runs were missed");
      assert.equal(missed?.["missed"], 3);
      assert.equal(missed?.["runs"], times.length);
      await jobs.close();
      // The missed times have been dealt with.
      const after = create();
      await after.use([scheduled]);
      assert.equal(after.info[0]?.missed, 0);
      await after.close();
    });
  }

  it("makes up for times that passed while its process was stopped", async (t) => {
    const { clock, handler, create } = setUp(t);
    const jobs = create();
    await jobs.use([handler.with({ cron: "* * * * *" })]);
    clock.sleep(5 * MINUTE);
    await handler.began(1);
    assert.deepEqual(handler.times, [START + 5 * MINUTE]);
    assert.equal(jobs.info[0]?.missed, 5);
    handler.end();
    await jobs.close();
  });

  it("runs no time twice when the clock is set back a little, and follows it when it is set back far", async (t) => {
    const { clock, handler, fake, create } = setUp(t);
    const jobs = create();
    await jobs.use([handler.with({ cron: "* * * * *" })]);
    clock.advance(MINUTE);
    await handler.began(1);
    handler.end();
    await untilEnded(fake, 1);
    clock.ms -= 30_000;
    clock.advance(29_000);
    clock.advance(31_000);
    assert.equal(handler.times.length, 1);
    clock.ms -= 2 * 60 * MINUTE;
    clock.advance(2 * MINUTE);
    await handler.began(2);
    assert.ok((handler.times[1] ?? 0) < START);
    assert.ok(fake.lines.some(({ msg }) => msg === "the clock was set back"));
    handler.end();
    await jobs.close();
  });

  it("keeps jobs that a reload does not change, and drops the others", async (t) => {
    const { clock, handler, fake, create } = setUp(t);
    const jobs = create();
    const [kept, dropped] = [handler.with({ cron: "* * * * *" }), new FakeHandler()];
    await jobs.use([kept, dropped.with({ cron: "*/2 * * * *" })]);
    clock.advance(MINUTE);
    await handler.began(1);
    const renewed = new FakeHandler();
    await jobs.use([renewed.with({ cron: "* * * * *" })]);
    assert.equal(jobs.info.length, 1);
    // The run of the old code has not ended: the next one is left out.
    clock.advance(MINUTE);
    assert.equal(jobs.info[0]?.skipped, 1);
    handler.end();
    await untilEnded(fake, 1);
    clock.advance(MINUTE);
    await renewed.began(1);
    assert.equal(handler.times.length, 1);
    assert.equal(dropped.times.length, 0);
    renewed.end();
    await jobs.close();
  });

  it("repeats a run that was interrupted by the end of its server", async (t) => {
    const { clock, handler, fake, stateDir, create } = setUp(t);
    const scheduled = handler.with({ cron: "30 * * * *" });
    // No process has this id.
    const run = { job: scheduled.id, time: START - 1_000, startedMs: START - 900, pid: 2 ** 30 };
    appendFileSync(
      join(stateDir, "cron.jsonl"),
      `${JSON.stringify({ at: "begin", ...run, manual: false })}\n`,
    );
    const jobs = create();
    await jobs.use([scheduled]);
    await handler.began(1);
    assert.deepEqual(handler.times, [START - 1_000]);
    assert.equal(jobs.info[0]?.result, "interrupted");
    handler.end();
    await untilEnded(fake, 1);
    await jobs.close();
    const record = foldJournal(readFileSync(join(stateDir, "cron.jsonl"), "utf8"));
    assert.deepEqual(record.get(scheduled.id)?.open, []);
    clock.advance(MINUTE);
    const after = create();
    await after.use([scheduled]);
    assert.equal(after.info[0]?.result, "done");
    await after.close();
  });

  it("makes up once, with catchUp one, for an interrupted run and a time that has come", async (t) => {
    const { clock, handler, fake, stateDir, create } = setUp(t);
    const scheduled = handler.with({ cron: "* * * * *", catchUp: "one" });
    const run = { job: scheduled.id, time: START, startedMs: START, pid: 2 ** 30, manual: false };
    appendFileSync(join(stateDir, "cron.jsonl"), `${JSON.stringify({ at: "begin", ...run })}\n`);
    clock.ms += 3 * MINUTE + 20_000;
    const jobs = create();
    await jobs.use([scheduled]);
    await handler.began(1);
    handler.end();
    await untilEnded(fake, 1);
    assert.deepEqual(handler.times, [START + 3 * MINUTE]);
    assert.equal(jobs.info[0]?.waiting, 0);
    await jobs.close();
    const record = foldJournal(readFileSync(join(stateDir, "cron.jsonl"), "utf8"));
    assert.deepEqual(record.get(scheduled.id)?.waiting, []);
  });

  it("keeps runs that wait, with catchUp all, over the end of the server", async (t) => {
    const { clock, handler, fake, stateDir, create } = setUp(t);
    const scheduled = handler.with({ cron: "30 * * * *", catchUp: "all" });
    const add = (entry: object): void =>
      appendFileSync(join(stateDir, "cron.jsonl"), `${JSON.stringify(entry)}\n`);
    for (const time of [START - 3_000, START - 2_000, START - 1_000]) {
      add({ at: "begin", job: scheduled.id, time, startedMs: time, pid: 2 ** 30, manual: false });
    }
    const before = create();
    await before.use([scheduled]);
    await handler.began(1);
    assert.equal(before.info[0]?.waiting, 2);
    // A time comes that is left out, since late runs wait.
    clock.advance(30 * MINUTE);
    assert.equal(before.info[0]?.skipped, 1);
    before.stop();
    handler.end();
    await untilEnded(fake, 1);
    await before.close();
    const jobs = create();
    await jobs.use([scheduled]);
    for (const count of [2, 3]) {
      await handler.began(count);
      handler.end();
      await untilEnded(fake, count);
    }
    assert.deepEqual(handler.times, [START - 3_000, START - 2_000, START - 1_000]);
    assert.equal(jobs.info[0]?.waiting, 0);
    await jobs.close();
  });

  it("keeps the overlap of a job that a reload removes and another one brings back", async (t) => {
    const { clock, handler, fake, create } = setUp(t);
    const jobs = create();
    const scheduled = handler.with({ cron: "* * * * *", overlap: "queue" });
    const other = new FakeHandler().with({ cron: "0 0 1 1 *" });
    await jobs.use([scheduled, other]);
    clock.advance(MINUTE);
    await handler.began(1);
    await jobs.use([other]);
    await jobs.use([scheduled, other]);
    clock.advance(MINUTE);
    const find = (): number | undefined =>
      jobs.info.find(({ cron }) => cron === "* * * * *")?.waiting;
    assert.equal(find(), 1);
    assert.equal(handler.times.length, 1);
    handler.end();
    await handler.began(2);
    handler.end();
    await untilEnded(fake, 2);
    await jobs.close();
  });

  it("begins late runs beside others that may overlap", async (t) => {
    const { clock, handler, stateDir, create } = setUp(t);
    const scheduled = handler.with({ cron: "* * * * *", overlap: "allow", catchUp: "all" });
    const line = { at: "seen", job: scheduled.id, time: START - 2 * MINUTE };
    appendFileSync(join(stateDir, "cron.jsonl"), `${JSON.stringify(line)}\n`);
    clock.ms += 20_000;
    const jobs = create();
    await jobs.use([scheduled]);
    await handler.began(1);
    // The second late run waits for the first one, and later times do not wait.
    clock.advance(3 * MINUTE);
    await handler.began(4);
    assert.equal(jobs.info[0]?.waiting, 1);
    handler.end();
    await handler.began(5);
    assert.equal(handler.times[4], START);
    for (let count = 0; count < 4; count++) handler.end();
    await jobs.close();
  });

  it("begins no run while another process runs the job", async (t) => {
    const { clock, handler, stateDir, create } = setUp(t);
    const scheduled = handler.with({ cron: "* * * * *", overlap: "queue" });
    // The test runner, which lives longer than this test.
    const run = { job: scheduled.id, time: START, startedMs: START, pid: process.ppid };
    const add = (entry: object): void =>
      appendFileSync(join(stateDir, "cron.jsonl"), `${JSON.stringify(entry)}\n`);
    add({ at: "begin", ...run, manual: false });
    const jobs = create();
    await jobs.use([{ ...scheduled, timeoutMs: 10 * MINUTE }]);
    clock.advance(MINUTE);
    assert.equal(handler.times.length, 0);
    assert.deepEqual([jobs.info[0]?.running, jobs.info[0]?.waiting], [1, 1]);
    add({ at: "end", ...run, result: "done", durationMs: 1 });
    clock.advance(1_000);
    await handler.began(1);
    handler.end();
    await jobs.close();
  });

  it("runs a job for an operator, and refuses unclear names and a second run", async (t) => {
    const { handler, create } = setUp(t);
    const jobs = create();
    await jobs.use([handler.with({ cron: "0 3 * * *" }), handler.with({ cron: "0 4 * * *" })]);
    await assert.rejects(jobs.run("/job", null), /found 2 times, expected one of \/job "0 3/);
    await assert.rejects(jobs.run("/other", null), /no handler with times of this name/);
    await assert.rejects(jobs.run("handlers/job.ts", null), /found 2 times/);
    await assert.rejects(jobs.run("other/job.ts", null), /no handler with times of this name/);
    const running = jobs.run("job.ts", "0 4 * * *");
    await handler.began(1);
    await assert.rejects(jobs.run("/job", "0 4 * * *"), { code: "ERR_OVERLOADED" });
    handler.end(500);
    const { result, cron } = await running;
    assert.deepEqual([result, cron], ["failed", "0 4 * * *"]);
    jobs.stop();
    await assert.rejects(jobs.run("/job", "0 3 * * *"), { code: "ERR_DRAINING" });
    await jobs.close();
  });

  it("runs without a disk", async (t) => {
    const { clock, handler, fake } = setUp(t);
    const { log } = fake;
    const jobs = new CronJobs({
      log,
      clock,
      stateDir: "/proc/none",
      onFailure: () => {},
      nextId: () => 1 as ExchangeId, // The only exchange of this test.
    });
    await jobs.use([handler.with({ cron: "* * * * *" })]);
    clock.advance(MINUTE);
    await handler.began(1);
    handler.end();
    await jobs.close();
    const problems = fake.lines.filter(({ msg }) => String(msg).includes("noted on disk"));
    assert.equal(problems.length, 1);
  });
});

function settingOf(name: string): RedisStoreSetting {
  return { kind: "redis", name, url: `unix:/${name}`, prefix: "", timeoutMs: 1_000 };
}

const [OLD, NEW] = [settingOf("old"), settingOf("new")];

describe("a reload that changes cronStore", { timeout: 60_000 }, () => {
  const EVERY_MINUTE = { cron: "* * * * *" };

  interface Change extends Setup {
    jobs: CronJobs;
    stores: Record<"old" | "new", FakeStore>;
    /** Claims the run of the first minute, as another server that uses a store. */
    claimElsewhere: (store: "old" | "new") => Promise<RunLease | null>;
  }

  function setUpChange(t: Owner): Change {
    const setup = setUp(t);
    const stores = { old: new FakeStore(), new: new FakeStore() };
    const jobs = setup.create({
      openStore: async ({ name }) => stores[name === "old" ? "old" : "new"],
      leaseMs: 20,
    });
    t.after(() => jobs.close());
    const { log } = createFakeLog();
    const stop = new AbortController();
    t.after(() => stop.abort());
    const claimElsewhere: Change["claimElsewhere"] = async (store) => {
      const leases = new RunLeases(stores[store], {
        log,
        stop: stop.signal,
        leaseMs: 20,
      });
      const { id: job } = setup.handler.with(EVERY_MINUTE);
      const time = START + MINUTE;
      const claim = await leases.claim({ job, time, mayOverlap: false, isMissed: false });
      return claim.kind === "mine" ? claim.lease : null;
    };
    return { ...setup, jobs, stores, claimElsewhere };
  }

  for (const { to, store } of [
    { to: "another store", store: NEW },
    { to: "no store", store: null },
  ]) {
    it(`gives a run that waits for a store without answer to ${to}`, async (t) => {
      const { jobs, stores, clock, handler, fake } = setUpChange(t);
      await jobs.use([handler.with(EVERY_MINUTE)], OLD);
      stores.old.isGone = true;
      clock.advance(MINUTE);
      await fake.until(({ msg }) => String(msg).startsWith("cannot reach the store"));
      assert.equal(handler.times.length, 0);
      await jobs.use([handler.with(EVERY_MINUTE)], store);
      await handler.began(1);
      handler.end();
      await untilEnded(fake, 1);
      assert.deepEqual(handler.times, [START + MINUTE]);
      await eventually(t, () => stores.old.isClosed);
    });
  }

  it("waits for the server that runs it, as long as the old store answers", async (t) => {
    const { jobs, stores, clock, handler, fake, claimElsewhere } = setUpChange(t);
    const lease = await claimElsewhere("old");
    await jobs.use([handler.with(EVERY_MINUTE)], OLD);
    clock.advance(MINUTE);
    await jobs.use([handler.with(EVERY_MINUTE)], NEW);
    await lease?.end("done");
    await fake.until(({ msg }) => msg === "another server does the scheduled run");
    assert.deepEqual(handler.times, []);
    await eventually(t, () => stores.old.isClosed);
    clock.advance(MINUTE);
    await handler.began(1);
    assert.deepEqual(handler.times, [START + 2 * MINUTE]);
    handler.end();
    await untilEnded(fake, 1);
  });

  for (const isGone of [false, true]) {
    const state = isGone ? "gone" : "there";
    it(`ends a run in flight, and tells both stores if the old one is ${state}`, async (t) => {
      const { jobs, stores, clock, handler, fake, claimElsewhere } = setUpChange(t);
      await jobs.use([handler.with(EVERY_MINUTE)], OLD);
      clock.advance(MINUTE);
      await handler.began(1);
      await jobs.use([handler.with(EVERY_MINUTE)], NEW);
      stores.old.isGone = isGone;
      handler.end();
      await untilEnded(fake, 1);
      await eventually(t, () => stores.old.isClosed);
      stores.old.isGone = false;
      assert.equal(await claimElsewhere("new"), null);
      if (!isGone) assert.equal(await claimElsewhere("old"), null);
      clock.advance(MINUTE);
      await handler.began(2);
      handler.end();
      await untilEnded(fake, 2);
    });
  }

  it("tells the old store the end of a run, though it fails some times", async (t) => {
    const { jobs, stores, clock, handler, fake, claimElsewhere } = setUpChange(t);
    await jobs.use([handler.with(EVERY_MINUTE)], OLD);
    clock.advance(MINUTE);
    await handler.began(1);
    await jobs.use([handler.with(EVERY_MINUTE)], NEW);
    stores.old.failures = 4;
    handler.end();
    await untilEnded(fake, 1);
    await eventually(t, () => stores.old.isClosed);
    assert.equal(stores.old.failures, 0);
    assert.equal(await claimElsewhere("old"), null);
  });

  it("asks a new store for the times after the change alone", async (t) => {
    const { jobs, clock, handler, fake, claimElsewhere } = setUpChange(t);
    await jobs.use([handler.with(EVERY_MINUTE)], null);
    clock.advance(MINUTE);
    await handler.began(1);
    await jobs.use([handler.with(EVERY_MINUTE)], NEW);
    const lease = await claimElsewhere("new");
    assert.ok(lease !== null, "the run in flight has no lease");
    await lease.end("done");
    handler.end();
    await untilEnded(fake, 1);
    clock.advance(MINUTE);
    await handler.began(2);
    handler.end();
    await untilEnded(fake, 2);
  });

  it("closes after a store could not be opened", async (t) => {
    const { handler, create } = setUp(t);
    const jobs = create({ openStore: () => Promise.reject(new Error("no such package")) });
    await assert.rejects(jobs.use([handler.with(EVERY_MINUTE)], OLD), /no such package/);
    await jobs.close();
  });

  it("goes on with the next reload when a store cannot be opened", async (t) => {
    const { clock, handler, fake, create } = setUp(t);
    const jobs = create({ openStore: () => Promise.reject(new Error("no such package")) });
    t.after(() => jobs.close());
    await assert.rejects(jobs.use([handler.with(EVERY_MINUTE)], OLD), /no such package/);
    await jobs.use([handler.with(EVERY_MINUTE)], null);
    clock.advance(MINUTE);
    await handler.began(1);
    handler.end();
    await untilEnded(fake, 1);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { SimulatedWorker, type Work } from "./simulated-worker.ts";

const SECOND_MS = 1_000;

interface Run {
  work: Work;
  /** The load, as a multiple of the worker's capacity. */
  load: number;
  /** Most answers per second. */
  capacity: number;
  seconds?: number;
}

/** Evenly spaced requests without end. */
function arriving(worker: SimulatedWorker, work: Work, perSecond: number): void {
  const arrive = (): void => {
    if (worker.queued < 1_000) worker.arrive(work);
    worker.at(worker.nowMs + SECOND_MS / perSecond, arrive);
  };
  worker.at(worker.nowMs, arrive);
}

/** Figures of the last second of a run. */
function lastSecond({ work, load, capacity, seconds = 6 }: Run): {
  rate: number;
  busy: number;
  queued: number;
} {
  const worker = new SimulatedWorker(1_000);
  arriving(worker, work, capacity * load);
  worker.runUntil((seconds - 1) * SECOND_MS);
  const { answered } = worker;
  worker.runUntil(seconds * SECOND_MS);
  return { rate: worker.answered - answered, busy: worker.busy, queued: worker.queued };
}

describe("WorkerWindow", () => {
  it("keeps an overloaded worker fully busy, with few requests waiting in it", () => {
    const cases: [name: string, run: Run, mostBusy: number][] = [
      ["computes", { work: { beforeMs: 2, waitMs: 0, afterMs: 0 }, load: 3, capacity: 500 }, 40],
      [
        "computes for long",
        { work: { beforeMs: 50, waitMs: 0, afterMs: 0 }, load: 3, capacity: 20 },
        10,
      ],
      [
        "waits a little, then computes",
        { work: { beforeMs: 0.05, waitMs: 5, afterMs: 1.95 }, load: 3, capacity: 500 },
        100,
      ],
      [
        "waits, then computes",
        { work: { beforeMs: 0.05, waitMs: 100, afterMs: 1.95 }, load: 3, capacity: 500 },
        200,
      ],
      [
        "computes, waits, computes",
        { work: { beforeMs: 1, waitMs: 20, afterMs: 1 }, load: 3, capacity: 500 },
        60,
      ],
    ];
    for (const [name, run, mostBusy] of cases) {
      const { rate, busy, queued } = lastSecond(run);
      assert.ok(rate >= 0.9 * run.capacity, `${name}: ${rate} of ${run.capacity} a second`);
      assert.ok(busy <= mostBusy, `${name}: ${busy} in the worker`);
      // Requests that the window refuses are refused or go to another worker.
      assert.ok(queued > run.capacity, `${name}: ${queued} before it`);
    }
  });

  it("gives a worker whose handlers only wait all requests, within a second", () => {
    const worker = new SimulatedWorker(1_000);
    arriving(worker, { beforeMs: 0.05, waitMs: 60 * SECOND_MS, afterMs: 0 }, 2_000);
    worker.runUntil(SECOND_MS);
    assert.equal(worker.busy, 1_000);
  });

  it("does not shrink for long work among quick work", () => {
    const worker = new SimulatedWorker(1_000);
    arriving(worker, { beforeMs: 0.1, waitMs: 50, afterMs: 0.1 }, 2_000);
    arriving(worker, { beforeMs: 60, waitMs: 0, afterMs: 0 }, 2);
    worker.runUntil(5 * SECOND_MS);
    const { answered } = worker;
    worker.runUntil(10 * SECOND_MS);
    assert.ok(worker.answered - answered >= 9_900, `${worker.answered - answered} of 10,010`);
    assert.ok(worker.queued < 200, `${worker.queued} wait`);
  });

  it("lets requests through beside requests that are never answered", () => {
    const worker = new SimulatedWorker(1_000);
    const never: Work = { beforeMs: 0.05, waitMs: 1e9, afterMs: 0 };
    for (let count = 0; count < 500; count++) worker.at(count, () => worker.arrive(never));
    arriving(worker, { beforeMs: 1, waitMs: 0, afterMs: 0 }, 500);
    worker.runUntil(5 * SECOND_MS);
    const { answered } = worker;
    worker.runUntil(6 * SECOND_MS);
    assert.ok(worker.answered - answered >= 490, `${worker.answered - answered} of 500`);
  });

  it("recovers from a burst that looked like overload", () => {
    const worker = new SimulatedWorker(1_000);
    const slow: Work = { beforeMs: 100, waitMs: 0, afterMs: 0 };
    for (let count = 0; count < 64; count++) worker.arrive(slow);
    worker.runUntil(10 * SECOND_MS);
    assert.ok(worker.window.size < 64);
    arriving(worker, { beforeMs: 0.1, waitMs: 200, afterMs: 0.1 }, 1_000);
    worker.runUntil(15 * SECOND_MS);
    assert.ok(worker.window.size >= 200);
    assert.equal(worker.queued, 0);
  });

  it("sends no probe while a worker is nearly idle, and one at a time", () => {
    const { window } = new SimulatedWorker(1_000);
    assert.equal(window.takeProbe(3, 0), false);
    assert.equal(window.takeProbe(4, 0), true);
    assert.equal(window.takeProbe(4, 1_000), false);
    window.onProbed(false, { ms: 1_001, latencyMs: 1 });
    // No request waited for more room, so the window has its old size less the delay.
    assert.equal(window.takeProbe(4, 1_002), true);
    window.onProbed(false, { ms: 1_003, latencyMs: 1 });
    assert.equal(window.takeProbe(4, 1_004), false);
    assert.equal(window.takeProbe(4, 1_012), true);
  });

  it("is never above its cap, and needs no probes when the cap is tiny", () => {
    for (const most of [1, 2]) {
      const { window } = new SimulatedWorker(most);
      assert.equal(window.size, most);
      assert.equal(window.takeProbe(most, 0), false);
    }
    const worker = new SimulatedWorker(10);
    arriving(worker, { beforeMs: 0.05, waitMs: 1_000, afterMs: 0 }, 100);
    worker.runUntil(2 * SECOND_MS);
    assert.equal(worker.window.size, 10);
    assert.equal(worker.busy, 10);
  });
});

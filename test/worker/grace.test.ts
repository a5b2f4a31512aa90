import assert from "node:assert/strict";
import { describe, it, type TestContext } from "node:test";
import { Grace } from "../../runtime/worker/grace.ts";

/** Timers and a clock that advance with `tick` only. */
function mockTime(t: TestContext): (ms: number) => void {
  let nowMs = 1_000;
  t.mock.method(performance, "now", () => nowMs);
  t.mock.timers.enable({ apis: ["setTimeout"] });
  return (ms) => {
    nowMs += ms;
    t.mock.timers.tick(ms);
  };
}

/** Notes the result of a wait; `null`: it goes on. */
function watch(wait: Promise<boolean>): { result: boolean | null } {
  const watched: { result: boolean | null } = { result: null };
  void wait.then((result) => (watched.result = result));
  return watched;
}

const NEVER = new Promise<never>(() => {});

/** Lets all callbacks of promises run. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

describe("Grace", () => {
  const rows: [title: string, graceMs: number, waitMs: number][] = [
    ["half a second of a long grace", 30_000, 29_500],
    ["half a second of ten seconds", 10_000, 9_500],
    ["a twentieth of a short grace", 1_000, 950],
    ["nothing of no grace", 0, 0],
  ];
  for (const [title, graceMs, waitMs] of rows) {
    it(`keeps ${title}`, async (t) => {
      const tick = mockTime(t);
      const grace = new Grace(graceMs);
      const wait = watch(grace.outlasts(NEVER));
      tick(Math.max(0, waitMs - 1));
      await turn();
      assert.equal(wait.result, graceMs === 0 ? false : null);
      tick(1);
      await turn();
      assert.equal(wait.result, false);
    });
  }

  it("keeps the same part however late a wait begins, and all but an eighth of it for the last wait", async (t) => {
    const tick = mockTime(t);
    const grace = new Grace(1_000);
    tick(900);
    const second = watch(grace.outlasts(NEVER));
    tick(49);
    await turn();
    assert.equal(second.result, null);
    tick(1);
    await turn();
    assert.equal(second.result, false);
    const third = watch(grace.outlasts(NEVER));
    const last = watch(grace.outlasts(NEVER, { usesReserve: true }));
    tick(1);
    await turn();
    assert.deepEqual([third.result, last.result], [false, null]);
    tick(42);
    await turn();
    assert.equal(last.result, null);
    tick(1);
    await turn();
    assert.equal(last.result, false);
    assert.equal(grace.leftMs, 6);
  });

  it("ends a wait with its promise, however that settles", async (t) => {
    mockTime(t);
    const grace = new Grace(1_000);
    assert.equal(await grace.outlasts(Promise.resolve()), true);
    assert.equal(await grace.outlasts(Promise.reject(new Error("no"))), true);
  });

  it("is shortened for waits that have begun, and never made longer", async (t) => {
    const tick = mockTime(t);
    const grace = new Grace(60_000);
    const wait = watch(grace.outlasts(NEVER));
    grace.shorten(90_000);
    assert.deepEqual([grace.leftMs, grace.totalMs], [60_000, 60_000]);
    tick(10_000);
    grace.shorten(1_000);
    assert.deepEqual([grace.leftMs, grace.totalMs], [1_000, 1_000]);
    tick(949);
    await turn();
    assert.equal(wait.result, null);
    tick(1);
    await turn();
    assert.equal(wait.result, false);
    tick(1_000);
    assert.equal(grace.leftMs, 0);
  });
});

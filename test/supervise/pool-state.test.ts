import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkerId } from "../../runtime/channel/messages.ts";
import {
  advance,
  EMPTY_POOL,
  isDown,
  type PoolEvent,
  type PoolState,
  type Vacancy,
} from "../../runtime/supervise/pool-state.ts";

const NEVER_READY = { readyForMs: null };
const LONG = { readyForMs: 60_000 };
// The worker of this file.
const ID = 1 as WorkerId;

const started: PoolEvent = { type: "started", id: ID, vacancy: null };
const becomesReady: PoolEvent = { type: "ready", id: ID };
const worn: PoolEvent = { type: "worn", id: ID, reason: "age" };
const retired: PoolEvent = { type: "retired", id: ID };
const fails: PoolEvent = { type: "exited", id: ID, life: NEVER_READY, nowMs: 1_000 };
const crashes: PoolEvent = { type: "exited", id: ID, life: LONG, nowMs: 1_000 };

const STARTING: PoolState = {
  members: [{ kind: "starting", id: ID, failedBoots: 0 }],
  vacancies: [],
};
const READY: PoolState = { members: [{ kind: "ready", id: ID, recycle: null }], vacancies: [] };
const WORN: PoolState = { members: [{ kind: "ready", id: ID, recycle: "age" }], vacancies: [] };
const DRAINING: PoolState = { members: [{ kind: "draining", id: ID }], vacancies: [] };
const FAILED: PoolState = { members: [], vacancies: [{ failedBoots: 1, notBeforeMs: 1_100 }] };
const LOST: PoolState = { members: [], vacancies: [{ failedBoots: 0, notBeforeMs: 1_000 }] };

describe("advance()", () => {
  it("leads from each state, on each event, to the expected one", () => {
    const table: [from: PoolState, event: PoolEvent, to: PoolState][] = [
      [EMPTY_POOL, started, STARTING],
      [EMPTY_POOL, becomesReady, EMPTY_POOL],
      [EMPTY_POOL, fails, EMPTY_POOL],
      [EMPTY_POOL, { type: "not-started", vacancy: null, nowMs: 1_000 }, FAILED],
      [STARTING, becomesReady, READY],
      [STARTING, worn, STARTING],
      [STARTING, retired, DRAINING],
      [STARTING, fails, FAILED],
      [READY, becomesReady, READY],
      [READY, worn, WORN],
      [READY, retired, DRAINING],
      [READY, crashes, LOST],
      [WORN, { type: "worn", id: ID, reason: "memory" }, WORN],
      [WORN, retired, DRAINING],
      [DRAINING, becomesReady, DRAINING],
      [DRAINING, worn, DRAINING],
      [DRAINING, crashes, EMPTY_POOL],
      [DRAINING, fails, EMPTY_POOL],
    ];
    for (const [from, event, to] of table) {
      assert.deepEqual(advance(from, event), to, `${JSON.stringify(from)}, ${event.type}`);
    }
  });

  it("counts on when the one that takes a vacancy cannot boot either, and forgets once one serves", () => {
    let state = FAILED;
    const take = (): void => {
      const [vacancy = null] = state.vacancies;
      state = advance(state, { type: "started", id: ID, vacancy });
    };
    take();
    state = advance(state, fails);
    assert.deepEqual(state.vacancies, [{ failedBoots: 2, notBeforeMs: 1_200 }]);
    const [vacancy = null] = state.vacancies;
    state = advance(state, { type: "not-started", vacancy, nowMs: 1_000 });
    assert.deepEqual(state.vacancies, [{ failedBoots: 3, notBeforeMs: 1_400 }]);
    take();
    state = advance(advance(state, becomesReady), crashes);
    assert.deepEqual(state, LOST);
  });
});

/** A place where so many have failed to boot. */
function failed(failedBoots: number): Vacancy {
  return { failedBoots, notBeforeMs: 0 };
}

describe("isDown()", () => {
  const table: [title: string, state: PoolState, expected: boolean][] = [
    ["nothing has been tried", EMPTY_POOL, false],
    ["one serves", { ...READY, vacancies: [failed(99)] }, false],
    ["two boots failed", { members: [], vacancies: [failed(2)] }, false],
    ["three boots failed", { members: [], vacancies: [failed(3)] }, true],
    [
      "one place has been tried less often",
      { members: [], vacancies: [failed(9), failed(0)] },
      false,
    ],
    ["one that failed tries again", { ...STARTING, vacancies: [failed(9)] }, false],
    [
      "all have failed and try again",
      { members: [{ kind: "starting", id: ID, failedBoots: 3 }], vacancies: [failed(4)] },
      true,
    ],
    ["only one that drains is left", { ...DRAINING, vacancies: [failed(3)] }, true],
  ];
  for (const [title, state, expected] of table) {
    it(`says ${expected}: ${title}`, () => assert.equal(isDown(state), expected));
  }
});

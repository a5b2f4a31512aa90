import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkerId } from "../../runtime/channel/messages.ts";
import type { Member, PoolState, Vacancy } from "../../runtime/supervise/pool-state.ts";
import { type Action, reconcile } from "../../runtime/supervise/reconcile.ts";
import type { RecycleReason } from "../../runtime/supervise/recycle-policy.ts";

const NOW_MS = 1_000;

// Ids of this file's own workers.
const id = (number: number): WorkerId => number as WorkerId;
const starting = (number: number): Member => ({ kind: "starting", id: id(number), failedBoots: 0 });
const ready = (number: number, recycle: RecycleReason | null = null): Member => ({
  kind: "ready",
  id: id(number),
  recycle,
});
const draining = (number: number): Member => ({ kind: "draining", id: id(number) });
const vacancy = (failedBoots: number, notBeforeMs: number): Vacancy => ({
  failedBoots,
  notBeforeMs,
});

const start = (from: Vacancy | null = null): Action => ({ type: "start", vacancy: from });
const retire = (number: number, reason: RecycleReason | "surplus"): Action => ({
  type: "retire",
  id: id(number),
  reason,
});
const kill = (number: number): Action => ({ type: "kill", id: id(number) });
const forget = (unneeded: Vacancy): Action => ({ type: "forget", vacancy: unneeded });
const wait = (untilMs: number): Action => ({ type: "wait", untilMs });

const SOON = vacancy(1, NOW_MS + 100);
const LATER = vacancy(3, NOW_MS + 400);
const DUE = vacancy(2, NOW_MS);

interface Case {
  title: string;
  members?: Member[];
  vacancies?: Vacancy[];
  desired: number;
  actions: Action[];
}

const CASES: Case[] = [
  { title: "starts all workers at first", desired: 3, actions: [start(), start(), start()] },
  {
    title: "waits for workers that start",
    members: [starting(1), ready(2)],
    desired: 2,
    actions: [],
  },
  {
    title: "does nothing when all desired workers serve",
    members: [ready(1), ready(2)],
    desired: 2,
    actions: [],
  },
  {
    title: "fills a vacancy that has waited long enough",
    members: [ready(1)],
    vacancies: [DUE],
    desired: 2,
    actions: [start(DUE)],
  },
  {
    title: "waits for the vacancy that comes first, and for nothing else",
    members: [ready(1)],
    vacancies: [LATER, SOON],
    desired: 3,
    actions: [wait(SOON.notBeforeMs)],
  },
  {
    title: "fills one vacancy at once while another waits",
    vacancies: [LATER, DUE],
    desired: 2,
    actions: [start(DUE), wait(LATER.notBeforeMs)],
  },
  {
    title: "makes new places when more are desired, though vacancies wait",
    members: [ready(1)],
    vacancies: [LATER],
    desired: 4,
    actions: [start(), start(), wait(LATER.notBeforeMs)],
  },
  {
    title: "forgets a surplus vacancy",
    members: [ready(1), starting(2)],
    vacancies: [LATER],
    desired: 2,
    actions: [forget(LATER)],
  },
  {
    title: "forgets the vacancies with the longest wait, when fewer are needed",
    vacancies: [LATER, DUE, SOON],
    desired: 1,
    actions: [forget(SOON), forget(LATER), start(DUE)],
  },
  {
    title: "retires the oldest when fewer are desired",
    members: [ready(1), ready(2), ready(3)],
    desired: 1,
    actions: [retire(1, "surplus"), retire(2, "surplus")],
  },
  {
    title: "retires worn workers before old ones",
    members: [ready(1), ready(2, "age"), ready(3)],
    desired: 2,
    actions: [retire(2, "age")],
  },
  {
    title: "kills the newest workers that start when fewer are desired, and retires none for them",
    members: [ready(1), starting(2), starting(3), starting(4)],
    desired: 2,
    actions: [kill(3), kill(4)],
  },
  {
    title: "kills all workers that start, and retires surplus ones, when too many serve",
    members: [ready(1), ready(2), starting(3), starting(4)],
    desired: 1,
    actions: [retire(1, "surplus"), kill(3), kill(4)],
  },
  {
    title: "starts one more when one is worn",
    members: [ready(1), ready(2, "requests")],
    desired: 2,
    actions: [start()],
  },
  {
    title: "starts only one more, however many are worn",
    members: [ready(1, "age"), ready(2, "age"), ready(3, "age")],
    desired: 3,
    actions: [start()],
  },
  {
    title: "keeps the worn one until the fresh one serves",
    members: [ready(1, "age"), ready(2), starting(3)],
    desired: 2,
    actions: [],
  },
  {
    title: "retires the worn one once the fresh one serves",
    members: [ready(1, "age"), ready(2, "memory"), ready(3)],
    desired: 2,
    actions: [retire(1, "age")],
  },
  {
    title: "does not begin with the next one while the one before drains",
    members: [draining(1), ready(2, "memory"), ready(3)],
    desired: 2,
    actions: [],
  },
  {
    title: "recycles no worker while one is missing",
    members: [ready(1, "age"), starting(2)],
    desired: 2,
    actions: [],
  },
  {
    title: "keeps a worn one while the fresh one cannot boot, and tries again when its time comes",
    members: [ready(1, "age"), ready(2)],
    vacancies: [LATER],
    desired: 2,
    actions: [wait(LATER.notBeforeMs)],
  },
  {
    title: "lets the fresh worker replace a worker that was lost meanwhile",
    members: [ready(1, "age"), starting(3)],
    vacancies: [DUE],
    desired: 2,
    actions: [forget(DUE)],
  },
  {
    title: "does not count workers that drain",
    members: [draining(1), draining(2)],
    desired: 1,
    actions: [start()],
  },
  {
    title: "recycles the only one",
    members: [ready(1, "idle")],
    desired: 1,
    actions: [start()],
  },
  {
    title: "kills the fresh worker when fewer are desired and the worn one goes for that",
    members: [ready(1, "age"), ready(2), starting(3)],
    desired: 1,
    actions: [retire(1, "age"), kill(3)],
  },
];

describe("reconcile()", () => {
  for (const { title, members = [], vacancies = [], desired, actions } of CASES) {
    it(title, () => {
      const state: PoolState = { members, vacancies };
      assert.deepEqual(reconcile(state, desired, NOW_MS), actions);
    });
  }
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  pickRecycleReason,
  type RecycleLimits,
  type RecycleReason,
  type WorkerFacts,
} from "../../runtime/supervise/recycle-policy.ts";

const NONE: RecycleLimits = {
  requests: 0,
  requestsJitter: 0,
  ageMs: 0,
  idleMs: 0,
  memoryBytes: 0,
  heapBytes: 0,
};

const FRESH: WorkerFacts = {
  readyForMs: 0,
  requests: 0,
  idleForMs: 0,
  rssBytes: 50,
  heapUsedBytes: 25,
  rssAtFirstBytes: 50,
  luck: 0,
};

const OLD: WorkerFacts = {
  readyForMs: 10 ** 12,
  requests: 10 ** 9,
  idleForMs: 10 ** 9,
  rssBytes: 10 ** 12,
  heapUsedBytes: 10 ** 12,
  rssAtFirstBytes: 50,
  luck: 0.99,
};

describe("pickRecycleReason()", () => {
  const table: [
    title: string,
    limits: Partial<RecycleLimits>,
    facts: Partial<WorkerFacts>,
    reason: RecycleReason | null,
  ][] = [
    ["nothing is limited", {}, OLD, null],
    ["fewer requests", { requests: 100 }, { requests: 99 }, null],
    ["as many requests", { requests: 100 }, { requests: 100 }, "requests"],
    [
      "the least jitter",
      { requests: 100, requestsJitter: 10 },
      { requests: 100, luck: 0 },
      "requests",
    ],
    [
      "too few with jitter",
      { requests: 100, requestsJitter: 10 },
      { requests: 104, luck: 0.5 },
      null,
    ],
    [
      "enough with jitter",
      { requests: 100, requestsJitter: 10 },
      { requests: 105, luck: 0.5 },
      "requests",
    ],
    [
      "the most jitter",
      { requests: 100, requestsJitter: 10 },
      { requests: 110, luck: 0.999999 },
      "requests",
    ],
    ["jitter alone", { requestsJitter: 10 }, OLD, null],
    ["younger", { ageMs: 1_000 }, { readyForMs: 999 }, null],
    ["as old", { ageMs: 1_000 }, { readyForMs: 1_000 }, "age"],
    ["idle, but never had anything to do", { idleMs: 10 }, { idleForMs: 99 }, null],
    ["idle for less", { idleMs: 10 }, { requests: 1, idleForMs: 9 }, null],
    ["idle after work", { idleMs: 10 }, { requests: 1, idleForMs: 10 }, "idle"],
    ["as large as it may be", { memoryBytes: 100 }, { rssBytes: 100 }, null],
    ["grown", { memoryBytes: 100 }, { rssBytes: 101 }, "memory"],
    [
      "as large from the start",
      { memoryBytes: 100 },
      { rssBytes: 200, rssAtFirstBytes: 101 },
      null,
    ],
    ["a heap as large as it may be", { heapBytes: 60 }, { heapUsedBytes: 60 }, null],
    ["a grown heap", { heapBytes: 60 }, { heapUsedBytes: 61 }, "memory"],
    ["a heap that was too large at first", { heapBytes: 40 }, { heapUsedBytes: 61 }, null],
    ["a heap before the first pong", { heapBytes: 60 }, { heapUsedBytes: null }, null],
    ["size unknown", { memoryBytes: 100 }, { rssBytes: null, rssAtFirstBytes: null }, null],
    [
      "size unknown at first",
      { memoryBytes: 100 },
      { rssBytes: 101, rssAtFirstBytes: null },
      "memory",
    ],
    [
      "large from the start, and old",
      { memoryBytes: 100, ageMs: 5 },
      { rssBytes: 200, rssAtFirstBytes: 101, readyForMs: 5 },
      "age",
    ],
  ];
  for (const [title, limits, facts, reason] of table) {
    it(`says ${reason}: ${title}`, () => {
      assert.equal(pickRecycleReason({ ...NONE, ...limits }, { ...FRESH, ...facts }), reason);
    });
  }
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  CLOCK_STEP_MS,
  decideDue,
  decideOverlap,
  LATE_MS,
  MOST_AT_A_TIME,
  MOST_WAITING,
  pickStart,
} from "../../runtime/cron/decide-due.ts";

describe("decideDue()", () => {
  const nowMs = 1_000_000;
  const late = [nowMs - 900_000, nowMs - LATE_MS - 1];
  const fresh = nowMs - LATE_MS;
  const cases: [name: string, times: number[], catchUp: "none" | "one" | "all", runs: number[]][] =
    [
      ["runs a time that has just come", [nowMs], "none", [nowMs]],
      ["leaves missed times out", late, "none", []],
      ["makes up for missed times with the last one", late, "one", late.slice(-1)],
      ["makes up for missed times with a run that is due", [...late, fresh], "one", [fresh]],
      ["runs each missed time", [...late, fresh], "all", [...late, fresh]],
      ["runs times that have just come beside missed ones", [...late, fresh], "none", [fresh]],
      ["runs nothing without a time", [], "all", []],
    ];
  for (const [name, times, catchUp, runs] of cases) {
    it(name, () => {
      const missed = times.filter((time) => late.includes(time)).length;
      assert.deepEqual(decideDue(times, { nowMs, catchUp }), { runs, missed });
    });
  }
});

describe("decideOverlap()", () => {
  const cases: [
    running: number,
    waiting: number,
    overlap: "skip" | "queue" | "allow",
    isLate: boolean,
    step: "run" | "wait" | "skip",
  ][] = [
    [0, 0, "skip", false, "run"],
    [1, 0, "skip", false, "skip"],
    [1, 0, "skip", true, "wait"],
    [1, 0, "queue", false, "wait"],
    [0, 1, "queue", false, "wait"],
    [1, MOST_WAITING, "queue", false, "skip"],
    [1, MOST_WAITING, "skip", true, "skip"],
    [1, 0, "allow", false, "run"],
    [1, 0, "allow", true, "wait"],
    [MOST_AT_A_TIME, 0, "allow", false, "wait"],
  ];
  for (const [running, waiting, overlap, isLate, step] of cases) {
    it(`${running} run, ${waiting} wait, ${overlap}, ${isLate ? "late" : "in time"}: ${step}`, () =>
      assert.equal(decideOverlap({ running, waiting }, { overlap, isLate }), step));
  }
});

describe("pickStart()", () => {
  it("ignores a small step of the clock, and follows a large one", () => {
    assert.equal(pickStart(1_000, 2_000), 1_000);
    assert.equal(pickStart(2_000, 1_000), 2_000);
    assert.equal(pickStart(CLOCK_STEP_MS + 1_001, 1_000), 1_000);
  });
});

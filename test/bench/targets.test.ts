import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { allEntries, pickEntries } from "../../scripts/bench/plan.ts";
import type { Result, ResultState } from "../../scripts/bench/results.ts";
import { TARGETS, judge, type Target } from "../../scripts/bench/targets.ts";
import type { Turn } from "../../scripts/bench/turn.ts";

const RATIO: Target = {
  kind: "ratio",
  claim: "ours / bun",
  of: "hello/edgicorn",
  over: "hello/bun",
  atLeast: 1,
};

describe("judge()", () => {
  it("decides by the median of the ratios of each round", () => {
    const results = [row("hello/edgicorn", [100, 300, 90]), row("hello/bun", [90, 300, 100])];
    const [verdict] = judge([RATIO], results);
    assert.equal(verdict?.outcome, "reached");
    assert.deepEqual(verdict.figure, { median: 1, min: 0.9, max: 100 / 90 });
  });

  it("is not reached just below the goal", () => {
    const results = [row("hello/edgicorn", [999]), row("hello/bun", [1000])];
    assert.equal(judge([RATIO], results)[0]?.outcome, "not reached");
  });

  it("has no figure when a row was skipped, or failed after good rounds", () => {
    const ours = row("hello/edgicorn", [100, 100]);
    const states: readonly ResultState[] = [
      { kind: "skipped", reason: "bun not installed" },
      { kind: "failed", round: 1, reason: "ended with exit code 1" },
    ];
    for (const state of states) {
      const [verdict] = judge([RATIO], [ours, { ...row("hello/bun", [1]), state }]);
      assert.equal(verdict?.outcome, "no figure", state.kind);
    }
  });

  it("skips targets whose rows were not measured", () => {
    assert.deepEqual(judge([RATIO], [row("hello/edgicorn", [100])]), []);
  });

  it("has no figure for a metric that the load does not give", () => {
    const target = { ...limit(64), metric: "growthMiB" } as const;
    const [verdict] = judge([target], [row("hello/edgicorn", [1])]);
    assert.equal(verdict?.outcome, "no figure");
  });

  it("applies a limit of zero to every round, any other to the median", () => {
    const results = [row("hello/edgicorn", [1, 1, 1], [0, 0, 2])];
    const outcomes = judge([limit(0), limit(1)], results).map(({ outcome }) => outcome);
    assert.deepEqual(outcomes, ["not reached", "reached"]);
  });
});

describe("TARGETS", () => {
  it("name rows that exist", () => {
    const known = new Set(allEntries().map(({ id }) => id));
    for (const target of TARGETS) {
      assert.ok(known.has(target.of), target.of);
      if (target.kind === "ratio") assert.ok(known.has(target.over), target.over);
    }
  });
});

function limit(atMost: number): Target {
  const of = "hello/edgicorn";
  return { kind: "limit", claim: "errors", of, metric: "socketErrors", atMost };
}

function row(id: string, rates: readonly number[], errors: readonly number[] = []): Result {
  const [entry] = pickEntries([id], "default");
  assert.ok(entry, id);
  const turns = rates.map((rate, round) => turn(round, rate, errors[round] ?? 0));
  return { entry, state: { kind: "measured" }, turns };
}

function turn(round: number, rate: number, socketErrors: number): Turn {
  return {
    round,
    rate,
    socketErrors,
    startMs: 100,
    count: 1000,
    p50Us: 500,
    p99Us: 900,
    badStatuses: 0,
    cpuUsPerUnit: 10,
    peakMemoryBytes: 1,
    loadCores: 0.5,
    otherCores: 0,
    stolenCores: 0,
  };
}

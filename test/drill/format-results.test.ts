import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  formatResult,
  formatResultsHead,
  formatVerdict,
} from "../../runtime/drill/format-results.ts";
import type { ExerciseResult } from "../../runtime/drill/judge.ts";

const HELD: ExerciseResult = {
  name: "kill a worker",
  seen: {
    requests: 1_234,
    failed: 0,
    refused: 1,
    closed: 0,
    p50Ms: 0.84,
    p99Ms: 12.25,
    failures: [],
  },
  note: "replaced in 300 ms",
  breaches: [],
  skipped: false,
};

const FAILED = { ...HELD, name: "freeze a worker", breaches: ["1 requests failed: x", "slow"] };
const SKIPPED = { ...HELD, name: "shrink memory", skipped: true };

describe("formatResult()", () => {
  it("has its figures below their names", () => {
    const [head, row] = [formatResultsHead(), formatResult(HELD)];
    const expected: [name: string, figure: string][] = [
      ["requests", "1234"],
      ["failed", "0"],
      ["503", "1"],
      ["closed", "0"],
      ["p50 ms", "0.8"],
      ["p99 ms", "12.3"],
    ];
    for (const [name, figure] of expected) {
      const end = head.indexOf(name) + name.length;
      assert.equal(row.slice(0, end).split(" ").at(-1), figure, name);
    }
    assert.ok(row.startsWith("kill a worker "));
    assert.ok(row.endsWith("  replaced in 300 ms"));
  });

  it("has a line for each expectation that did not hold", () => {
    const [row, ...breaches] = formatResult(FAILED).split("\n");
    assert.match(row ?? "", / FAILED$/);
    assert.deepEqual(breaches, ["  FAILED: 1 requests failed: x", "  FAILED: slow"]);
  });

  it("shows why an exercise was skipped, and no failure", () => {
    assert.match(
      formatResult({ ...SKIPPED, note: "skipped: no /proc" }),
      / {2}skipped: no \/proc$/,
    );
  });
});

describe("formatVerdict()", () => {
  const cases: [results: ExerciseResult[], verdict: string][] = [
    [[HELD, HELD], "all held"],
    [[HELD, SKIPPED], "all held, but skipped: shrink memory"],
    [[FAILED, SKIPPED, { ...FAILED, name: "reload" }], "failed: freeze a worker, reload"],
  ];
  for (const [results, verdict] of cases) {
    it(verdict, () => {
      assert.equal(formatVerdict(results), verdict);
    });
  }
});

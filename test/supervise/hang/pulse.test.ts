import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { judge, toRhythm } from "../../../runtime/supervise/hang/pulse.ts";

describe("judge()", () => {
  const cases = [
    [0, 4, "live"],
    [1, 4, "stalled"],
    [3, 4, "stalled"],
    [4, 4, "hung"],
    [5, 4, "hung"],
    [0, 1, "live"],
    [1, 1, "hung"],
    [0, Infinity, "live"],
    [1, Infinity, "stalled"],
    [100_000, Infinity, "stalled"],
  ] as const;
  for (const [silentTicks, hangTicks, verdict] of cases) {
    it(`takes ${silentTicks} silent ticks of ${hangTicks} for ${verdict}`, () => {
      assert.equal(judge(silentTicks, hangTicks), verdict);
    });
  }
});

describe("toRhythm()", () => {
  it("asks each second, and never gives up without a timeout", () => {
    assert.deepEqual(toRhythm(0), { tickMs: 1_000, hangTicks: Infinity });
    assert.deepEqual(toRhythm(30_000), { tickMs: 1_000, hangTicks: 30 });
  });

  it("lets a worker be silent for the timeout, and hardly longer, over several ticks", () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 3_600_000 }), (timeoutMs) => {
        const { tickMs, hangTicks } = toRhythm(timeoutMs);
        assert.ok(hangTicks >= 4);
        assert.ok(tickMs <= 1_000);
        assert.ok(hangTicks * tickMs >= timeoutMs);
        assert.ok((hangTicks - 1) * tickMs < timeoutMs);
      }),
    );
  });
});

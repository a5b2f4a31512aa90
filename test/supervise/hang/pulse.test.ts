import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { judge, toRhythm } from "../../../runtime/supervise/hang/pulse.ts";

describe("judge()", () => {
  const cases = [
    [0, 1, 4, "live"],
    [1, 1, 4, "stalled"],
    [3, 1, 4, "stalled"],
    [4, 1, 4, "hung"],
    [5, 1, 4, "hung"],
    [0, 1, 1, "live"],
    [1, 1, 1, "hung"],
    [0, 1, Infinity, "live"],
    [1, 1, Infinity, "stalled"],
    [100_000, 1, Infinity, "stalled"],
    [9, 10, 300, "live"],
    [10, 10, 300, "stalled"],
  ] as const;
  for (const [silentTicks, stallTicks, hangTicks, verdict] of cases) {
    it(`takes ${silentTicks} silent ticks of ${hangTicks}, ${stallTicks} to stall, for ${verdict}`, () => {
      assert.equal(judge(silentTicks, { stallTicks, hangTicks }), verdict);
    });
  }
});

describe("toRhythm()", () => {
  it("asks each second, and never gives up or warns without a timeout", () => {
    assert.deepEqual(toRhythm({ hangTimeoutMs: 0, blockWarnMs: 0 }), {
      tickMs: 1_000,
      stallTicks: 1,
      warnTicks: Infinity,
      hangTicks: Infinity,
    });
    assert.deepEqual(toRhythm({ hangTimeoutMs: 30_000, blockWarnMs: 1_000 }), {
      tickMs: 1_000,
      stallTicks: 1,
      warnTicks: 1,
      hangTicks: 30,
    });
  });

  it("asks more often for a short warning, and does not stall workers sooner", () => {
    assert.deepEqual(toRhythm({ hangTimeoutMs: 30_000, blockWarnMs: 100 }), {
      tickMs: 100,
      stallTicks: 10,
      warnTicks: 1,
      hangTicks: 300,
    });
  });

  it("lets a worker be silent for the timeout, and hardly longer, over several ticks", () => {
    const limits = fc.record({
      hangTimeoutMs: fc.integer({ min: 100, max: 3_600_000 }),
      blockWarnMs: fc.oneof(fc.constant(0), fc.integer({ min: 100, max: 3_600_000 })),
    });
    fc.assert(
      fc.property(limits, ({ hangTimeoutMs, blockWarnMs }) => {
        const { tickMs, stallTicks, warnTicks, hangTicks } = toRhythm({
          hangTimeoutMs,
          blockWarnMs,
        });
        assert.ok(hangTicks >= 4);
        assert.ok(tickMs <= 1_000);
        assert.ok(stallTicks >= 1 && stallTicks < hangTicks);
        assert.ok(hangTicks * tickMs >= hangTimeoutMs);
        assert.ok((hangTicks - 1) * tickMs < hangTimeoutMs);
        if (blockWarnMs === 0) assert.equal(warnTicks, Infinity);
        else {
          assert.ok(warnTicks * tickMs >= blockWarnMs);
          assert.ok((warnTicks - 1) * tickMs < blockWarnMs);
        }
      }),
    );
  });
});

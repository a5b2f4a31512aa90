import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { countFailedBoots, restartDelayMs } from "../../runtime/supervise/restart-policy.ts";

const NEVER_READY = { readyForMs: null };

describe("restartDelayMs()", () => {
  it("is nothing for a worker that served, and less than a second for one that served briefly", () => {
    for (const readyForMs of [1_000, 60_000, 10 ** 9]) {
      assert.equal(restartDelayMs(0, { readyForMs }), 0, `${readyForMs} ms`);
    }
    for (const readyForMs of [0, 1, 999]) {
      const delayMs = restartDelayMs(0, { readyForMs });
      assert.ok(delayMs > 0 && delayMs < 500, `${readyForMs} ms: ${delayMs}`);
    }
  });

  it("doubles with each boot that fails, up to ten seconds", () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8, 9, 1_000, 100_000].map((failedBoots) =>
      restartDelayMs(failedBoots, NEVER_READY),
    );
    const doubled = [100, 200, 400, 800, 1_600, 3_200, 6_400];
    assert.deepEqual(delays, [...doubled, 10_000, 10_000, 10_000, 10_000]);
  });
});

describe("countFailedBoots()", () => {
  it("counts boots that fail in a row", () => {
    const lives = [NEVER_READY, NEVER_READY, { readyForMs: 0 }, NEVER_READY, { readyForMs: 5 }];
    const counts: number[] = [];
    let count = 0;
    for (const life of lives) {
      count = countFailedBoots(count, life);
      counts.push(count);
    }
    assert.deepEqual(counts, [1, 2, 0, 1, 0]);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import {
  decideScale,
  type ScaleBounds,
  type ScaleSample,
  UNDECIDED,
} from "../../runtime/supervise/autoscale.ts";

const BOUNDS: ScaleBounds = { least: 2, most: 4 };
const STEP_MS = 500;

/** Returns how many workers are desired after each sample. A new worker serves by the next sample. */
function run(
  samples: Iterable<(desired: number) => Pick<ScaleSample, "utilization" | "queueAgeMs">>,
  { bounds = BOUNDS, desired = bounds.least }: { bounds?: ScaleBounds; desired?: number } = {},
): number[] {
  let state = UNDECIDED;
  let nowMs = 0;
  const sizes: number[] = [];
  for (const sample of samples) {
    nowMs += STEP_MS;
    const seen = { desired, ready: desired, ...sample(desired) };
    ({ desired, state } = decideScale(state, seen, { ...bounds, nowMs }));
    sizes.push(desired);
  }
  return sizes;
}

/** The same for so many seconds. */
function forSeconds<T>(seconds: number, value: T): T[] {
  return Array.from({ length: (seconds * 1_000) / STEP_MS }, () => value);
}

const at =
  (utilization: number, queueAgeMs = 0) =>
  () => ({ utilization, queueAgeMs });

describe("decideScale()", () => {
  it("adds a worker after two seconds in which all were busy, and the next after two more", () => {
    const sizes = run(forSeconds(6, at(0.9)));
    assert.deepEqual(sizes, [2, 2, 2, 2, 3, 3, 3, 3, 3, 4, 4, 4]);
  });

  it("adds a worker for exchanges that wait, though no worker is busy", () => {
    assert.equal(run(forSeconds(3, at(0.1, 101))).at(-1), 3);
    assert.equal(run(forSeconds(3, at(0.1, 100))).at(-1), 2);
  });

  it("adds no worker for a burst", () => {
    const bursts = [...forSeconds(1.5, at(1)), ...forSeconds(0.5, at(0.6))];
    assert.deepEqual(new Set(run([...bursts, ...bursts, ...bursts])), new Set([2]));
  });

  it("removes a worker after a minute in which the others would not have been busy", () => {
    const sizes = run(forSeconds(130, at(0)), { desired: 4 });
    assert.deepEqual(
      [sizes.indexOf(3), sizes.indexOf(2)].map((index) => (index * STEP_MS) / 1_000),
      [60, 120.5],
    );
    assert.equal(sizes.at(-1), 2);
  });

  it("removes no worker when the others would be busy, or when it was needed for a moment", () => {
    assert.equal(run(forSeconds(300, at(0.34)), { desired: 3 }).at(-1), 3);
    const needed = [...forSeconds(59, at(0)), at(0.5), ...forSeconds(59, at(0))];
    assert.equal(run(needed, { desired: 3 }).at(-1), 3);
  });

  it("decides nothing while workers start", () => {
    let state = UNDECIDED;
    for (let nowMs = 0; nowMs < 100_000; nowMs += STEP_MS) {
      const sample = { desired: 3, ready: 2, utilization: 1, queueAgeMs: 9_999 };
      const next = decideScale(state, sample, { ...BOUNDS, nowMs });
      assert.equal(next.desired, 3);
      state = next.state;
    }
  });

  it("is within its bounds at once when they change", () => {
    const bounds = { least: 3, most: 3 };
    assert.deepEqual(run([at(0)], { bounds, desired: 1 }), [3]);
    assert.deepEqual(run([at(1)], { bounds, desired: 9 }), [3]);
  });

  it("never undoes a change under a constant load", () => {
    const anything = fc.record({
      least: fc.integer({ min: 1, max: 8 }),
      more: fc.integer({ min: 0, max: 24 }),
      first: fc.integer({ min: 1, max: 32 }),
      // In workers that are busy all the time.
      load: fc.double({ min: 0, max: 40, noNaN: true }),
    });
    fc.assert(
      fc.property(anything, ({ least, more, first, load }) => {
        const bounds = { least, most: least + more };
        const sample = (desired: number): { utilization: number; queueAgeMs: number } => ({
          utilization: Math.min(1, load / desired),
          queueAgeMs: load > desired ? 1_000 : 0,
        });
        const desired = Math.min(Math.max(first, least), bounds.most);
        // Long enough to go all the way, a minute for each.
        const sizes = run(forSeconds(62 * 33, sample), { bounds, desired });
        const steps = sizes
          .map((size, index) => size - (sizes[index - 1] ?? desired))
          .filter((step) => step !== 0);
        assert.ok(new Set(steps).size <= 1, `steps ${steps.join(" ")}`);
        // The last hundred seconds changed nothing, and one more worker would not be allowed or not help.
        assert.equal(new Set(sizes.slice(-200)).size, 1);
        const end = sizes.at(-1) ?? 0;
        assert.ok(end === bounds.most || load / end <= 0.75, `${end} for ${load}`);
        assert.ok(end === bounds.least || load / (end - 1) >= 0.5, `${end} for ${load}`);
      }),
    );
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import type { Rate } from "../../runtime/lib/rate.ts";
import { TokenBuckets } from "../../runtime/limits/token-buckets.ts";

const HUNDRED_A_MINUTE: Rate = { requests: 100, windowMs: 60_000 };

function createBuckets(options: { rate?: Rate; burst?: number; mostKeys?: number } = {}) {
  return new TokenBuckets({ rate: HUNDRED_A_MINUTE, burst: 100, ...options });
}

/** Takes as many tokens as there are. */
function drain(buckets: TokenBuckets, key: string, nowMs: number): number {
  let taken = 0;
  while (buckets.take(key, nowMs).isAllowed) taken++;
  return taken;
}

describe("TokenBuckets", () => {
  it("lets a burst in at once, and then one request for each token", () => {
    const buckets = createBuckets();
    assert.equal(drain(buckets, "a", 5_000), 100);
    const refused = buckets.take("a", 5_000);
    assert.deepEqual([refused.isAllowed, refused.left], [false, 0]);
    assert.ok(Math.abs(refused.waitMs - 600) < 1e-6);
    assert.equal(buckets.take("a", 5_599).isAllowed, false);
    assert.equal(buckets.take("a", 5_600).isAllowed, true);
    assert.equal(buckets.take("a", 5_600).isAllowed, false);
    assert.equal(drain(buckets, "a", 65_600), 100, "full again after the window");
    assert.equal(drain(buckets, "b", 65_600), 100, "another key has a bucket of its own");
  });

  it("tells how many tokens are left and when the bucket is full", () => {
    const buckets = createBuckets();
    assert.deepEqual(buckets.take("a", 0), { isAllowed: true, left: 99, waitMs: 600 });
    assert.equal(buckets.take("a", 0).waitMs, 1_200);
  });

  it("tells without taking what the next request would get", () => {
    const step = fc.record({ key: fc.constantFrom("a", "b"), afterMs: fc.nat({ max: 900 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const buckets = createBuckets({ rate: { requests: 3, windowMs: 1_000 }, burst: 3 });
        let nowMs = 0;
        for (const { key, afterMs } of steps) {
          nowMs += afterMs;
          const before = [buckets.peek(key, nowMs), buckets.peek(key, nowMs)];
          const { isAllowed, left } = buckets.take(key, nowMs);
          assert.deepEqual(before[0], before[1]);
          assert.equal(before[0]?.isAllowed, isAllowed);
          assert.equal(before[0]?.left, isAllowed ? left + 1 : left);
        }
      }),
    );
  });

  it("owes tokens, of three bursts at most, and pays them back at its rate", () => {
    const buckets = createBuckets();
    buckets.owe("a", { count: 30, nowMs: 0 });
    assert.equal(drain(buckets, "a", 0), 70);
    buckets.owe("a", { count: 100, nowMs: 0 });
    assert.deepEqual(buckets.peek("a", 0), { isAllowed: false, left: 0, waitMs: 101 * 600 });
    assert.deepEqual(buckets.take("a", 60_000), { isAllowed: false, left: 0, waitMs: 600 });
    assert.equal(buckets.take("a", 60_600).isAllowed, true);
    buckets.owe("a", { count: 1_000_000, nowMs: 60_600 });
    assert.equal(buckets.peek("a", 60_600).waitMs, 301 * 600);
    assert.equal(drain(buckets, "b", 240_600), 100, "goes on while another key owes");
    assert.equal(drain(buckets, "a", 240_600), 0, "keeps a bucket that owes");
    assert.equal(drain(buckets, "a", 241_200), 1);
  });

  it("never goes back in time", () => {
    const buckets = createBuckets({ burst: 1 });
    assert.equal(buckets.take("a", 10_000).isAllowed, true);
    assert.equal(buckets.take("a", 0).isAllowed, false);
    assert.equal(buckets.take("a", 10_599).isAllowed, false);
    assert.equal(buckets.take("a", 10_600).isAllowed, true);
  });

  it("allows what a list of all requests allows", () => {
    const step = fc.record({
      key: fc.constantFrom("a", "b", "c"),
      afterMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 5_000 })),
    });
    const rates = fc.record({
      requests: fc.integer({ min: 1, max: 20 }),
      windowMs: fc.integer({ min: 1, max: 20_000 }),
    });
    fc.assert(
      fc.property(
        rates,
        fc.integer({ min: 1, max: 30 }),
        fc.array(step, { maxLength: 200 }),
        (rate, burst, steps) => {
          const buckets = createBuckets({ rate, burst });
          // Tokens in units of 1 / windowMs, as whole numbers: without rounding.
          const model = new Map<string, { units: number; atMs: number }>();
          let nowMs = 0;
          for (const { key, afterMs } of steps) {
            nowMs += afterMs;
            const full = burst * rate.windowMs;
            const known = model.get(key) ?? { units: full, atMs: nowMs };
            const refilled = known.units + (nowMs - known.atMs) * rate.requests;
            const units = Math.min(full, refilled);
            const isAllowed = units >= rate.windowMs;
            model.set(key, { units: isAllowed ? units - rate.windowMs : units, atMs: nowMs });
            assert.equal(buckets.take(key, nowMs).isAllowed, isAllowed);
          }
        },
      ),
    );
  });

  it("forgets full buckets, a few with each request", () => {
    const buckets = createBuckets();
    for (let each = 0; each < 1_000; each++) buckets.take(`${each}`, 0);
    assert.equal(buckets.size, 1_000);
    for (let each = 0; each < 500; each++) buckets.take("other", 60_000);
    assert.equal(buckets.size, 1);
  });

  it("drops the fullest buckets when there are too many", () => {
    const buckets = createBuckets({ mostKeys: 100 });
    drain(buckets, "greedy", 0);
    for (let each = 0; each < 10_000; each++) {
      assert.equal(buckets.take(`${each}`, 0).isAllowed, true);
      assert.ok(buckets.size <= 100);
    }
    assert.equal(buckets.take("greedy", 0).isAllowed, false);
  });

  it("keeps its bound whatever comes, also after long pauses", () => {
    const step = fc.record({
      key: fc.integer({ min: 0, max: 40 }).map(String),
      afterMs: fc.constantFrom(0, 1, 500, 70_000, 10_000_000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const buckets = createBuckets({ burst: 3, mostKeys: 10 });
        let nowMs = 0;
        for (const { key, afterMs } of steps) {
          nowMs += afterMs;
          buckets.take(key, nowMs);
          assert.ok(buckets.size <= 10);
        }
      }),
    );
  });
});

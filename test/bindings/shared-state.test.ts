import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { createCounter } from "../../runtime/bindings/counter.ts";
import { createLocks } from "../../runtime/bindings/lock.ts";
import { createRateLimiter } from "../../runtime/bindings/rate-limiter.ts";
import { openEmbeddedStore } from "../../runtime/stores/embedded-store.ts";
import { type Store, StoreError } from "../../runtime/stores/store.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";

interface Clock {
  nowMs: number;
}

async function open(t: Owner, clock: Clock): Promise<Store> {
  const path = join(temporaryFolder(t), "main.lmdb");
  const now = (): number => clock.nowMs;
  const store = await openEmbeddedStore({ path, durability: "process", timeoutMs: 60_000, now });
  t.after(() => store.close());
  return store;
}

describe("createCounter()", { timeout: 60_000 }, () => {
  it("adds, subtracts, reads and resets", async (t) => {
    const counter = createCounter(await open(t, { nowMs: 1 }), { space: "c" });
    assert.equal(await counter.get("a"), 0);
    assert.equal(await counter.add("a"), 1);
    assert.equal(await counter.add("a", 5), 6);
    assert.equal(await counter.add("a", -7), -1);
    assert.equal(await counter.get("a"), -1);
    assert.equal(await counter.get("b"), 0);
    await counter.reset("a");
    assert.equal(await counter.add("a"), 1);
    await assert.rejects(counter.add("a", 0.5), /Cannot add 0.5/);
    await assert.rejects(counter.add(""), /its name/);
  });
});

describe("createLocks()", { timeout: 60_000 }, () => {
  it("refuses times that a store cannot keep", async (t) => {
    const locks = createLocks(await open(t, { nowMs: 0 }), { space: "l" });
    for (const ttlMs of [0, 100.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 33]) {
      await assert.rejects(
        async () => locks.acquire("a", { ttlMs }),
        /ttlMs is not a whole number/,
      );
    }
    await assert.rejects(async () => locks.acquire("a", { waitMs: Number.NaN }), /waitMs/);
  });

  it("has one holder at a time, and is free after its time", async (t) => {
    const clock = { nowMs: 1_000 };
    const store = await open(t, clock);
    const locks = createLocks(store, { space: "l" });
    const lock = (await locks.acquire("a", { ttlMs: 100 })) ?? assert.fail("not free");
    assert.equal(await locks.acquire("a"), null);
    assert.notEqual(await locks.acquire("b"), null);
    clock.nowMs += 60;
    assert.equal(await lock.extend(), true);
    clock.nowMs += 60;
    assert.equal(await locks.acquire("a"), null);
    clock.nowMs += 60;
    const second = (await locks.acquire("a", { ttlMs: 100 })) ?? assert.fail("not free");
    assert.equal(await lock.extend(), false);
    assert.equal(await lock.release(), false);
    assert.equal(await locks.acquire("a"), null, "the first holder took nothing from the second");
    assert.equal(await second.release(), true);
    assert.equal(await second.release(), false);
    assert.notEqual(await locks.acquire("a"), null);
  });

  it("releases a lock that is being extended", async (t) => {
    const locks = createLocks(await open(t, { nowMs: 1_000 }), { space: "l" });
    const lock = (await locks.acquire("a")) ?? assert.fail("not free");
    const results = await Promise.all([lock.extend(), lock.extend(), lock.release()]);
    assert.deepEqual(results, [true, true, true]);
    assert.equal(await lock.extend(), false);
    assert.notEqual(await locks.acquire("a"), null);
  });

  it("finds out whether it holds a lock when the store gave no answer", async (t) => {
    const store = await open(t, { nowMs: 1_000 });
    let isSilent = false;
    const silent: Store = Object.assign(Object.create(store) as Store, {
      get: store.get.bind(store),
      delete: store.delete.bind(store),
      put: async (...given: Parameters<Store["put"]>) => {
        const version = await store.put(...given);
        if (isSilent) throw new StoreError("Cannot wait longer");
        return version;
      },
    });
    const locks = createLocks(silent, { space: "l" });
    const lock = (await locks.acquire("a")) ?? assert.fail("not free");
    isSilent = true;
    await assert.rejects(lock.extend(), /Cannot wait longer/);
    isSilent = false;
    assert.equal(await lock.extend(), true);
    isSilent = true;
    await assert.rejects(lock.extend(), /Cannot wait longer/);
    isSilent = false;
    assert.equal(await lock.release(), true);
    assert.notEqual(await locks.acquire("a"), null);
  });

  it("runs tasks one after the other", async (t) => {
    const store = await open(t, { nowMs: 1 });
    const locks = createLocks(store, { space: "l" });
    let running = 0;
    let most = 0;
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, at) =>
        locks.run(
          "a",
          async (signal) => {
            running += 1;
            most = Math.max(most, running);
            await store.add("x", "n", { by: 1, expiresMs: 0 });
            running -= 1;
            assert.equal(signal.aborted, false);
            return at;
          },
          { waitMs: 50_000 },
        ),
      ),
    );
    assert.equal(most, 1);
    assert.deepEqual(
      results,
      Array.from({ length: 12 }, (_, at) => at),
    );
    await assert.rejects(
      locks.run("a", () => Promise.reject(new Error("of the task"))),
      /of the task/,
    );
    assert.notEqual(await locks.acquire("a"), null, "a task that fails gives the lock back");
    await assert.rejects(
      locks.run("a", () => 1, { waitMs: 20 }),
      /another holder has it for 20 ms/,
    );
    await assert.rejects(locks.acquire("a", { waitMs: 60_000, signal: AbortSignal.timeout(20) }), {
      name: /AbortError|TimeoutError/,
    });
  });
});

describe("createRateLimiter()", { timeout: 60_000 }, () => {
  it("admits exactly the limit in each period, for each key", async (t) => {
    const clock = { nowMs: 600_000 };
    const store = await open(t, clock);
    const options = { space: "r", limit: 7, periodMs: 60_000, now: () => clock.nowMs };
    const limiters = Array.from({ length: 8 }, () => createRateLimiter(store, options));
    const admitted = async (key: string): Promise<number> => {
      const results = await Promise.all(
        Array.from({ length: 40 }, async (_, at) => limiters[at % 8]?.limit({ key })),
      );
      return results.filter((result) => result?.success === true).length;
    };
    assert.equal(await admitted("a"), 7);
    assert.equal(await admitted("a"), 0);
    assert.equal(await admitted("b"), 7);
    clock.nowMs += 59_999;
    assert.equal(await admitted("a"), 0);
    clock.nowMs += 1;
    assert.equal(await admitted("a"), 7);
    await assert.rejects(
      async () => limiters[0]?.limit({ key: 7 as unknown as string }),
      TypeError,
    );
  });

  it("admits no more when the clocks of servers differ by less than a period", async (t) => {
    const periodMs = 40_000;
    const clock = { nowMs: 15 * periodMs };
    const store = await open(t, clock);
    const limiters = [-30_000, 0, 30_000].map((skewMs) =>
      createRateLimiter(store, {
        space: "r",
        limit: 7,
        periodMs,
        now: () => clock.nowMs + skewMs,
      }),
    );
    const seen = new Map<number, number>();
    for (let round = 0; round < 60; round++, clock.nowMs += 2_500) {
      for (const [at, limiter] of limiters.entries()) {
        const period = Math.floor((clock.nowMs + (at - 1) * 30_000) / periodMs);
        // oxlint-disable-next-line no-await-in-loop -- In the order of time.
        const { success } = await limiter.limit({ key: "a" });
        if (success) seen.set(period, (seen.get(period) ?? 0) + 1);
      }
    }
    // Each period has more calls than its limit, the first and the last included.
    assert.deepEqual([...seen.values()], [7, 7, 7, 7, 7, 7]);
  });
});

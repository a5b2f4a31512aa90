import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { openEmbeddedStore } from "../../runtime/stores/embedded-store.ts";
import { MessageQueue, QueueFullError } from "../../runtime/stores/message-queue.ts";
import type { Store } from "../../runtime/stores/store.ts";
import { loseMoves } from "../helpers/faulty-store.ts";
import { type Owner, temporaryFolder } from "../helpers/temporary-folder.ts";

const ALL = { most: 10, mostBytes: 1_000_000, leaseMs: 10_000 };
const MESSAGE = { body: Buffer.from("x"), contentType: "text", delayMs: 0 } as const;

async function openStore(t: Owner): Promise<Store> {
  const path = join(temporaryFolder(t), "main.lmdb");
  const store = await openEmbeddedStore({ path, durability: "process", timeoutMs: 60_000 });
  t.after(() => store.close());
  return store;
}

/** Returns a queue whose counts take `tookMs` on its clock. */
async function openCounted(
  t: Owner,
  { mostMessages, tookMs = 0 }: { mostMessages: number; tookMs?: number },
): Promise<{ queue: MessageQueue; seen: { counts: number }; clock: { nowMs: number } }> {
  const store = await openStore(t);
  const [seen, clock] = [{ counts: 0 }, { nowMs: 1_800_000_000_000 }];
  const counted = Object.assign(
    loseMoves(store, () => false),
    {
      count: async (...args: Parameters<Store["count"]>) => {
        seen.counts++;
        const found = await store.count(...args);
        clock.nowMs += tookMs;
        return found;
      },
    },
  );
  const now = (): number => clock.nowMs;
  const queue = new MessageQueue(counted, { name: "jobs", mostMessages, owner: "a", now });
  return { queue, seen, clock };
}

describe("MessageQueue", { timeout: 60_000 }, () => {
  it("reads the bodies of a batch that fits, and no others", async (t) => {
    const store = await openStore(t);
    const seen: number[] = [];
    const counted = Object.assign(
      loseMoves(store, () => false),
      {
        get: async (...args: Parameters<Store["get"]>) => {
          const entry = await store.get(...args);
          seen.push(entry?.value.length ?? 0);
          return entry;
        },
        list: async (...args: Parameters<Store["list"]>) => {
          const entries = await store.list(...args);
          seen.push(...entries.map(({ value }) => value.length));
          return entries;
        },
      },
    );
    const queue = new MessageQueue(counted, { name: "jobs", mostMessages: 100, owner: "a" });
    await queue.send(
      Array.from({ length: 10 }, () => ({ ...MESSAGE, body: Buffer.alloc(100_000, "x") })),
    );
    const taken = await queue.take({ ...ALL, mostBytes: 250_000 });
    assert.deepEqual(
      taken.map(({ body }) => body.length),
      [100_000, 100_000],
    );
    assert.equal(
      seen.reduce((sum, bytes) => sum + bytes, 0),
      200_000,
    );
  });

  it("counts once for sends at the same time, and keeps to its limit", async (t) => {
    const { queue, seen } = await openCounted(t, { mostMessages: 30 });
    const sends = Array.from({ length: 100 }, () => queue.send([MESSAGE]));
    const results = await Promise.allSettled(sends);
    assert.equal(seen.counts, 1);
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 30);
  });

  it("counts again soon after a slow count", async (t) => {
    const { queue, seen, clock } = await openCounted(t, { mostMessages: 2, tookMs: 3_000 });
    await queue.send([MESSAGE]);
    clock.nowMs += 4_999;
    await queue.send([MESSAGE]);
    assert.equal(seen.counts, 1);
    clock.nowMs += 1;
    await assert.rejects(queue.send([MESSAGE]), QueueFullError);
    assert.equal(seen.counts, 2);
    const [taken] = await queue.take(ALL);
    assert.ok(taken !== undefined);
    await queue.acknowledge(taken);
    clock.nowMs += 50;
    await queue.send([MESSAGE]);
    assert.equal(seen.counts, 3);
  });

  it("gives a message back whose take has no answer, and does not count the attempt", async (t) => {
    let losing = true;
    const store = loseMoves(await openStore(t), () => losing);
    const queue = new MessageQueue(store, { name: "jobs", mostMessages: 10, owner: "a" });
    await queue.send([MESSAGE]);
    const [unanswered] = await queue.take(ALL);
    assert.match(String(unanswered?.failure?.error), /answer was lost/);
    losing = false;
    assert.ok(unanswered !== undefined);
    assert.equal(await queue.release(unanswered, { delayMs: 0, isUncounted: true }), true);
    const [taken] = await queue.take(ALL);
    assert.equal(taken?.attempts, 1);
    assert.equal(taken.failure, null);
    // The first take has lost its lease, although the attempts are the same.
    assert.equal(await queue.acknowledge({ ...unanswered, version: null }), false);
    assert.equal(await queue.acknowledge(taken), true);
  });
});

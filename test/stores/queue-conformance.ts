import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type FoundLease,
  MessageQueue,
  type NewMessage,
  QueueFullError,
  type TakenMessage,
} from "../../runtime/stores/message-queue.ts";
import type { Store } from "../../runtime/stores/store.ts";
import type { Owner } from "../helpers/temporary-folder.ts";

const LEASE_MS = 10_000;
const ALL = { most: 100, mostBytes: 1_000_000, leaseMs: LEASE_MS };
const isExpired = (lease: FoundLease): boolean => lease.isExpired;

function message(text: string, delayMs = 0): NewMessage {
  return { body: Buffer.from(text), contentType: "text", delayMs };
}

function texts(taken: readonly TakenMessage[]): string[] {
  return taken.map(({ body }) => Buffer.from(body).toString());
}

/** A clock that queues of one test share, and the queues. */
class Bench {
  nowMs = 1_800_000_000_000;
  readonly #store: Store;
  readonly #again: () => Promise<Store>;

  constructor(store: Store, again: () => Promise<Store>) {
    this.#store = store;
    this.#again = again;
  }

  queue(owner = "a", { name = "jobs", mostMessages = 1_000 } = {}): MessageQueue {
    return this.#open(this.#store, { owner, name, mostMessages });
  }

  /** Returns a queue as another process sees it. */
  async foreign(owner: string): Promise<MessageQueue> {
    return this.#open(await this.#again(), { owner, name: "jobs", mostMessages: 1_000 });
  }

  #open(
    store: Store,
    options: { owner: string; name: string; mostMessages: number },
  ): MessageQueue {
    return new MessageQueue(store, { ...options, now: () => this.nowMs });
  }
}

async function takeOne(queue: MessageQueue): Promise<TakenMessage> {
  const [taken] = await queue.take({ ...ALL, most: 1 });
  return taken ?? assert.fail("no message is due");
}

/** The behaviour of queues over every kind of store. `open` returns a store without entries. */
export function describeQueue(
  name: string,
  open: (t: Owner) => Promise<{ store: Store; again: () => Promise<Store> }>,
): void {
  const start = async (t: Owner): Promise<Bench> => {
    const { store, again } = await open(t);
    return new Bench(store, again);
  };
  describe(`MessageQueue over ${name}`, { timeout: 300_000 }, () => {
    it("hands messages over in the order of sending, with all facts", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      for (const text of ["1", "2", "3"]) await queue.send([message(text)]);
      await queue.send([
        { body: Uint8Array.from([0, 255, 128]), contentType: "bytes", delayMs: 0 },
        message("5"),
      ]);
      const taken = await queue.take(ALL);
      assert.deepEqual(texts(taken.slice(0, 3)), ["1", "2", "3"]);
      assert.deepEqual([...(taken[3]?.body ?? [])], [0, 255, 128]);
      assert.equal(taken[3]?.contentType, "bytes");
      assert.equal(taken[0]?.sentMs, bench.nowMs);
      assert.deepEqual(new Set(taken.map(({ attempts }) => attempts)), new Set([1]));
      assert.equal(new Set(taken.map(({ id }) => id)).size, 5);
    });

    it("keeps queues of different names apart", async (t) => {
      const bench = await start(t);
      await bench.queue().send([message("1")]);
      assert.deepEqual(await bench.queue("a", { name: "other" }).take(ALL), []);
      assert.deepEqual(await bench.queue("a", { name: "job" }).take(ALL), []);
    });

    it("holds a delayed message back until its time", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      await queue.send([message("late", 5_000), message("now")]);
      assert.deepEqual(texts(await queue.take(ALL)), ["now"]);
      bench.nowMs += 4_999;
      assert.deepEqual(await queue.look(10), { count: 0, firstMs: bench.nowMs + 1 });
      assert.deepEqual(await queue.take(ALL), []);
      bench.nowMs += 1;
      assert.deepEqual(await queue.look(10), { count: 1, firstMs: bench.nowMs });
      assert.deepEqual(texts(await queue.take(ALL)), ["late"]);
    });

    it("gives each message to one of many takers", async (t) => {
      const bench = await start(t);
      const sent = Array.from({ length: 40 }, (_, at) => String(at));
      await bench.queue().send(sent.map((text) => message(text)));
      const takers = [bench.queue("a"), await bench.foreign("b"), await bench.foreign("c")];
      const got: string[] = [];
      const drain = async (queue: MessageQueue): Promise<void> => {
        for (;;) {
          // oxlint-disable-next-line no-await-in-loop -- Each look follows the one before.
          got.push(...texts(await queue.take({ ...ALL, most: 7 })));
          // oxlint-disable-next-line no-await-in-loop -- As above.
          if ((await queue.look(1)).count === 0) return;
        }
      };
      await Promise.all(takers.map(drain));
      assert.deepEqual(got.toSorted(), sent.toSorted());
    });

    it("ends a batch at its size in bytes, but takes at least one message", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      await queue.send(["x".repeat(600), "y".repeat(300), "z".repeat(200)].map((x) => message(x)));
      const first = await queue.take({ ...ALL, mostBytes: 500 });
      assert.deepEqual(
        first.map(({ body }) => body.length),
        [600],
      );
      assert.equal((await queue.take({ ...ALL, mostBytes: 500 })).length, 2);
    });

    it("removes acknowledged messages for good", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      await queue.send([message("1")]);
      const taken = await takeOne(queue);
      assert.equal(await queue.acknowledge(taken), true);
      bench.nowMs += 10 * LEASE_MS;
      assert.equal(await queue.returnLost(() => true), 0);
      assert.deepEqual(await queue.counts(), { waiting: 0, delayed: 0, inWork: 0 });
      assert.equal(await queue.acknowledge(taken), false);
    });

    it("offers a released message again after its delay, with the next attempt", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      await queue.send([message("1")]);
      assert.equal(await queue.release(await takeOne(queue), { delayMs: 1_000 }), true);
      assert.deepEqual(await queue.counts(), { waiting: 0, delayed: 1, inWork: 0 });
      bench.nowMs += 1_000;
      const second = await takeOne(queue);
      assert.equal(second.attempts, 2);
      assert.equal(second.sentMs, bench.nowMs - 1_000);
      await queue.release(second, { delayMs: 0, isUncounted: true });
      assert.equal((await takeOne(queue)).attempts, 2);
    });

    it("gives a message whose lease has expired to another taker, and fences the first one off", async (t) => {
      const bench = await start(t);
      const [first, second] = [bench.queue("a"), await bench.foreign("b")];
      await first.send([message("1")]);
      const lost = await takeOne(first);
      assert.equal(await second.returnLost(isExpired), 0);
      bench.nowMs += LEASE_MS;
      assert.equal(await second.returnLost(isExpired), 1);
      const taken = await takeOne(second);
      assert.equal(taken.attempts, 2);
      assert.equal(await first.acknowledge({ ...lost }), false);
      assert.equal(await first.release({ ...lost }, { delayMs: 0 }), false);
      assert.equal(await first.extend({ ...lost }, LEASE_MS), false);
      assert.equal(await first.bury({ ...lost }, bench.queue("a", { name: "dead" })), "lost");
      // As after an answer of the store that did not come.
      assert.equal(await first.acknowledge({ ...lost, version: null }), false);
      assert.deepEqual(await second.counts(), { waiting: 0, delayed: 0, inWork: 1 });
      assert.equal(await second.acknowledge(taken), true);
    });

    it("fences off an earlier attempt of the same process", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      await queue.send([message("1")]);
      const lost = await takeOne(queue);
      bench.nowMs += LEASE_MS;
      await queue.returnLost(isExpired);
      const taken = await takeOne(queue);
      assert.equal(await queue.acknowledge({ ...lost, version: null }), false);
      assert.equal(await queue.acknowledge(taken), true);
    });

    it("keeps a lease that is extended", async (t) => {
      const bench = await start(t);
      const [first, second] = [bench.queue("a"), await bench.foreign("b")];
      await first.send([message("1")]);
      const taken = await takeOne(first);
      bench.nowMs += LEASE_MS - 1;
      assert.equal(await first.extend(taken, LEASE_MS), true);
      bench.nowMs += LEASE_MS - 1;
      assert.equal(await second.returnLost(isExpired), 0);
      assert.equal(await first.acknowledge(taken), true);
    });

    it("finds its own lease again when the version is not known", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      await queue.send([message("1"), message("2")]);
      const [one, two] = await queue.take(ALL);
      assert.ok(one !== undefined && two !== undefined);
      one.version = null;
      two.version = null;
      assert.equal(await queue.extend(one, LEASE_MS), true);
      assert.equal(await queue.acknowledge(one), true);
      assert.equal(await queue.release(two, { delayMs: 0 }), true);
      assert.deepEqual(texts(await queue.take(ALL)), ["2"]);
    });

    it("returns the leases that its caller calls over, before their deadlines", async (t) => {
      const bench = await start(t);
      const [gone, queue] = [bench.queue("gone"), bench.queue("here")];
      await gone.send([message("1"), message("2")]);
      await takeOne(gone);
      await takeOne(queue);
      assert.equal(await queue.returnLost(({ owner }) => owner === "gone"), 1);
      assert.deepEqual(texts(await queue.take(ALL)), ["1"]);
    });

    it("offers a message that must be alone without others", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      await queue.send(["1", "2", "3"].map((text) => message(text)));
      for (const taken of await queue.take({ ...ALL, most: 2 })) {
        await queue.release(taken, { delayMs: 0, isAlone: true });
      }
      const batches: string[][] = [];
      for (let at = 0; at < 3; at += 1) {
        const { count } = await queue.look(10);
        const batch = texts(await queue.take(ALL));
        assert.equal(count, batch.length);
        batches.push(batch);
      }
      assert.deepEqual(
        batches.map((batch) => batch.length),
        [1, 1, 1],
      );
      assert.deepEqual(batches.flat().toSorted(), ["1", "2", "3"]);
    });

    it("moves a message to its dead-letter queue once, also after a failure in between", async (t) => {
      const bench = await start(t);
      const [queue, dead] = [bench.queue(), bench.queue("a", { name: "dead" })];
      await queue.send([message("1")]);
      const lost = await takeOne(queue);
      // The copy is written, and the process ends before it removes the original.
      const copy = { ...lost };
      const broken: MessageQueue = Object.create(queue, {
        acknowledge: { value: () => Promise.reject(new Error("gone")) },
        extend: { value: (taken: TakenMessage, ms: number) => queue.extend(taken, ms) },
      }) as MessageQueue;
      await assert.rejects(MessageQueue.prototype.bury.call(broken, copy, dead), /gone/);
      assert.deepEqual(await dead.counts(), { waiting: 1, delayed: 0, inWork: 0 });
      assert.equal(await queue.bury({ ...copy }, dead), "buried");
      assert.deepEqual(await dead.counts(), { waiting: 1, delayed: 0, inWork: 0 });
      assert.deepEqual(await queue.counts(), { waiting: 0, delayed: 0, inWork: 0 });
      const buried = await takeOne(dead);
      assert.deepEqual([texts([buried]), buried.attempts, buried.id], [["1"], 1, lost.id]);
    });

    it("keeps a message that its full dead-letter queue refuses", async (t) => {
      const bench = await start(t);
      const queue = bench.queue();
      const dead = bench.queue("a", { name: "dead", mostMessages: 1 });
      await dead.send([message("old")]);
      await queue.send([message("1")]);
      assert.equal(await queue.bury(await takeOne(queue), dead), "full");
      assert.deepEqual(await queue.counts(), { waiting: 0, delayed: 1, inWork: 0 });
      bench.nowMs += 60_000;
      // Too many for a further run with its number of retries, 0.
      assert.equal((await takeOne(queue)).attempts, 3);
    });

    it("refuses messages beyond its limit, and takes them once there is room", async (t) => {
      const bench = await start(t);
      const queue = bench.queue("a", { mostMessages: 3 });
      await queue.send([message("1"), message("2")]);
      await assert.rejects(queue.send([message("3"), message("4")]), QueueFullError);
      await queue.send([message("3")]);
      await assert.rejects(
        queue.send([message("4")]),
        /^.*Cannot send to the queue jobs: found 3 messages/,
      );
      const taken = await takeOne(queue);
      // A message in work takes its place.
      bench.nowMs += 3_600_000;
      await assert.rejects(queue.send([message("4")]), QueueFullError);
      await queue.acknowledge(taken);
      bench.nowMs += 3_600_000;
      await queue.send([message("4")]);
      assert.deepEqual(await queue.counts(), { waiting: 3, delayed: 0, inWork: 0 });
    });
  });
}

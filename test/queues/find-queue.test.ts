import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type QueueConfig, toQueueConfig } from "../../runtime/config/queue-config.ts";
import type { StoreSetting } from "../../runtime/lib/binding-settings.ts";
import { findQueue } from "../../runtime/queues/find-queue.ts";

const STORES: StoreSetting[] = [
  { kind: "embedded", name: "default", durability: "process" },
  { kind: "embedded", name: "files", durability: "disk" },
];
const JOBS = {
  name: "JOBS",
  sites: null,
  pools: null,
  value: { kind: "queue", store: "files", space: "jobs", limit: 5 },
} as const;

function consumer(name: string, deadLetter: string): QueueConfig {
  return toQueueConfig({ name, deadLetter }) ?? assert.fail();
}

describe("findQueue()", () => {
  const consumers = [
    // Its dead letters are in the queue of those of "jobs", and no binding sends to it.
    consumer("unsent", "dead"),
    consumer("jobs", "dead"),
    consumer("dead", "jobs"),
    consumer("round", "back"),
    consumer("back", "round"),
  ];
  for (const [name, store, limit, hasSender] of [
    ["jobs", "files", 5, true],
    ["dead", "files", 100_000, true],
    ["unsent", "default", 100_000, false],
    ["jbos", "default", 100_000, false],
    ["round", "default", 100_000, false],
  ] as const) {
    it(`finds the store and the senders of ${name}`, () => {
      const found = findQueue(name, { bindings: [JOBS], stores: STORES, consumers });
      assert.deepEqual([found.store.name, found.limit, found.hasSender], [store, limit, hasSender]);
    });
  }
});

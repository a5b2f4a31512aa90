import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { BindingSetting, StoreSetting } from "../../runtime/lib/binding-settings.ts";
import { findMisspeltQueues, type Receiver } from "../../runtime/queues/find-misspelt-queues.ts";

const STORES: readonly StoreSetting[] = [
  { kind: "embedded", name: "default", durability: "process" },
  { kind: "redis", name: "shared", url: "redis://localhost", prefix: "e", timeoutMs: 5_000 },
];

/** All queues without a binding are in Redis. */
const SHARED: readonly StoreSetting[] = [
  { kind: "redis", name: "default", url: "redis://localhost", prefix: "e", timeoutMs: 5_000 },
];

function sender(name: string, space: string, store = "default"): BindingSetting {
  return { name, pools: null, sites: null, value: { kind: "queue", space, store, limit: 10 } };
}

function receiver(name: string, deadLetter: string | null = null): Receiver {
  return { file: `${name}.ts`, config: { name, deadLetter } };
}

const TEXT: BindingSetting = {
  name: "A",
  pools: null,
  sites: null,
  value: { kind: "var", text: "jobs" },
};

interface Case {
  senders?: readonly BindingSetting[];
  receivers?: readonly Receiver[];
  /** Absent: `STORES`. */
  stores?: readonly StoreSetting[];
  /** Parts of the warnings, in their order. */
  expected: readonly RegExp[];
}

const CASES: Readonly<Record<string, Case>> = {
  "no queue at all": { senders: [TEXT], expected: [] },
  "both sides": { senders: [sender("JOBS", "jobs")], receivers: [receiver("jobs")], expected: [] },
  "a misspelt name": {
    senders: [sender("JOBS", "jobs")],
    receivers: [receiver("jbos")],
    expected: [
      /^jbos\.ts gets no messages: .* the queue "jbos" \(did you mean "jobs"\?\), .*: jobs$/,
      /^the messages of bindings\.JOBS wait forever: .* "jobs" \(did you mean "jbos"\?\), /,
    ],
  },
  "a receiver alone": {
    senders: [TEXT],
    receivers: [receiver("jobs")],
    expected: [
      /^jobs\.ts .* sends to the queue "jobs", expected a binding such as \{ queue: "jobs" \}$/,
    ],
  },
  "a sender alone": {
    senders: [sender("JOBS", "jobs")],
    expected: [/^the messages of bindings\.JOBS .* expected a handler with config\.queue "jobs"$/],
  },
  "a sender whose queue another server may receive": {
    senders: [sender("JOBS", "jobs", "shared")],
    receivers: [receiver("mail")],
    expected: [/^mail\.ts gets no messages/],
  },
  "the same with a receiver of nearly this name": {
    senders: [sender("JOBS", "jobs", "shared")],
    receivers: [receiver("job")],
    expected: [/^job\.ts gets no messages/, /^the messages of bindings\.JOBS/],
  },
  "dead letters with a receiver, and with a binding that reads none": {
    senders: [sender("JOBS", "jobs"), sender("DEAD", "mail-dead")],
    receivers: [receiver("jobs", "jobs-dead"), receiver("jobs-dead", "mail-dead")],
    expected: [],
  },
  "dead letters of a queue that gets no messages": {
    receivers: [receiver("a", "a-dead"), receiver("a-dead")],
    expected: [/^a\.ts gets no messages: .*a binding such as/, /^a-dead\.ts gets no messages/],
  },
  "dead letters of two queues, the second of which has a sender": {
    senders: [sender("JOBS", "jobs")],
    receivers: [receiver("x", "dead"), receiver("jobs", "dead"), receiver("dead")],
    expected: [/^x\.ts gets no messages: .*, or one of these queues: jobs, dead$/],
  },
  "receivers whose queues other servers may fill": {
    receivers: [receiver("jobs", "jobs-dead"), receiver("jobs-dead")],
    stores: SHARED,
    expected: [],
  },
  "such a receiver, whose name is near to that of a queue with both sides": {
    senders: [sender("JOBS", "jobs-1")],
    receivers: [receiver("jobs-1"), receiver("jobs-2")],
    stores: SHARED,
    expected: [],
  },
  "a misspelt name of a queue in Redis": {
    senders: [sender("JOBS", "jobs")],
    receivers: [receiver("jbos")],
    stores: SHARED,
    expected: [/^jbos\.ts gets no messages/, /^the messages of bindings\.JOBS/],
  },
};

describe("findMisspeltQueues()", () => {
  for (const [name, { senders = [], receivers = [], stores = STORES, expected }] of Object.entries(
    CASES,
  )) {
    it(`warns of ${expected.length} sides of ${name}`, () => {
      const found = findMisspeltQueues({ receivers, bindings: senders, stores });
      assert.equal(found.length, expected.length, found.join("\n"));
      expected.forEach((pattern, at) => assert.match(found[at] ?? "", pattern));
    });
  }
});

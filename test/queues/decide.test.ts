import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  type BatchResult,
  decideStep,
  isBatchDue,
  isSpent,
  pauseAfter,
  pauseBeforeLook,
} from "../../runtime/queues/decide.ts";
import { encodeVerdicts, parseVerdicts, type Verdict } from "../../runtime/channel/queue-batch.ts";
import { findQueue } from "../../runtime/queues/find-queue.ts";
import { toQueueConfig } from "../../runtime/config/queue-config.ts";

const RULES = { retries: 2, backoffMs: 1_000 };
const ACK: Verdict = { kind: "acknowledge" };
const RETRY: Verdict = { kind: "retry", delayMs: null };

const step = (result: BatchResult, verdict: Verdict, attempts = 1): string => {
  const decided = decideStep({ attempts, isAlone: false }, { result, verdict }, RULES);
  if (decided.kind !== "release") return decided.kind;
  const { delayMs, isAlone, isUncounted } = decided;
  return `${delayMs}${isAlone ? " alone" : ""}${isUncounted ? " uncounted" : ""}`;
};

const consumer = (
  name: string,
  deadLetter: string,
): NonNullable<ReturnType<typeof toQueueConfig>> =>
  toQueueConfig({ name, deadLetter }) ?? assert.fail("wrong config");

describe("decideStep()", () => {
  it("follows the word of the handler before the result of the batch", () => {
    const cases: [BatchResult, Verdict, string][] = [
      ["done", null, "acknowledge"],
      ["done", ACK, "acknowledge"],
      ["done", RETRY, "1000"],
      ["done", { kind: "retry", delayMs: 0 }, "0"],
      ["done", { kind: "retry", delayMs: 60_000 }, "60000"],
      ["failed", null, "1000"],
      ["failed", ACK, "acknowledge"],
      ["failed", RETRY, "1000"],
      ["timed out", null, "1000 alone"],
      ["lost", null, "1000 alone"],
      ["refused", null, "1000 uncounted"],
    ];
    for (const [result, verdict, expected] of cases) {
      assert.equal(step(result, verdict), expected, `${result} ${JSON.stringify(verdict)}`);
    }
  });

  it("buries a message after its last attempt, unless no worker got it", () => {
    assert.equal(step("failed", null, 2), "2000");
    for (const result of ["failed", "timed out", "lost"] as const) {
      assert.equal(step(result, null, 3), "bury");
    }
    assert.equal(step("done", RETRY, 3), "bury");
    assert.equal(step("done", null, 3), "acknowledge");
    assert.equal(step("refused", null, 3), "1000 uncounted");
  });
});

describe("isSpent()", () => {
  it("lets a message whose server was lost before its worker had it run once more", () => {
    assert.deepEqual(
      [1, 2, 3].map((attempts) => isSpent(attempts, 0)),
      [false, false, true],
    );
    assert.equal(isSpent(5, 3), false);
    assert.equal(isSpent(6, 3), true);
  });
});

describe("pauseAfter()", () => {
  it("doubles with each attempt, up to an hour or the pause of the queue", () => {
    assert.deepEqual(
      [1, 2, 3, 12, 13, 100].map((at) => pauseAfter(at, 1_000)),
      [1_000, 2_000, 4_000, 2_048_000, 3_600_000, 3_600_000],
    );
    assert.equal(pauseAfter(5, 0), 0);
    assert.equal(pauseAfter(1, 7_200_000), 7_200_000);
    assert.equal(pauseAfter(9, 7_200_000), 7_200_000);
  });
});

describe("isBatchDue()", () => {
  it("waits for a full batch, as long as its first message may wait", () => {
    const rules = { batchSize: 3, batchTimeoutMs: 1_000 };
    assert.equal(isBatchDue({ count: 0, firstMs: null }, rules, 5_000), false);
    assert.equal(isBatchDue({ count: 0, firstMs: 9_000 }, rules, 5_000), false);
    assert.equal(isBatchDue({ count: 2, firstMs: 4_001 }, rules, 5_000), false);
    assert.equal(isBatchDue({ count: 2, firstMs: 4_000 }, rules, 5_000), true);
    assert.equal(isBatchDue({ count: 3, firstMs: 4_999 }, rules, 5_000), true);
  });
});

describe("pauseBeforeLook()", () => {
  it("grows while no message comes, and ends when one is due", () => {
    assert.equal(pauseBeforeLook({ idleMs: 0, untilDueMs: null }, 200), 10);
    assert.equal(pauseBeforeLook({ idleMs: 400, untilDueMs: null }, 200), 100);
    assert.equal(pauseBeforeLook({ idleMs: 60_000, untilDueMs: null }, 200), 200);
    assert.equal(pauseBeforeLook({ idleMs: 60_000, untilDueMs: 30 }, 200), 30);
    assert.equal(pauseBeforeLook({ idleMs: 60_000, untilDueMs: -5 }, 200), 1);
  });
});

describe("parseVerdicts()", () => {
  it("reads the words that a worker writes", () => {
    const verdicts = [null, ACK, RETRY, { kind: "retry", delayMs: 5_000 } as const];
    assert.deepEqual(parseVerdicts(encodeVerdicts(verdicts), 4), verdicts);
  });

  it("refuses everything else", () => {
    for (const text of [
      "",
      "{}",
      "[null]",
      "[null,null,null]",
      '[null,"x"]',
      "[null,-1]",
      "[1,86401]",
    ]) {
      assert.equal(parseVerdicts(text, 2), null, text);
    }
  });
});

describe("toQueueConfig()", () => {
  it("fills in what is not given", () => {
    assert.deepEqual(toQueueConfig("jobs"), {
      name: "jobs",
      batchSize: 10,
      batchTimeoutMs: 0,
      retries: 3,
      backoffMs: 1_000,
      deadLetter: null,
      concurrency: 4,
    });
    const given = { name: "a.b", batchTimeout: "5s", backoff: 2_000, deadLetter: "dead" };
    const config = toQueueConfig(given);
    assert.deepEqual(
      [config?.batchTimeoutMs, config?.backoffMs, config?.deadLetter],
      [5_000, 2_000, "dead"],
    );
  });

  it("refuses other values", () => {
    const wrong: unknown[] = [
      "",
      "a b",
      5,
      null,
      [],
      {},
      { name: "" },
      { name: "a", more: 1 },
      { name: "a", batchSize: 0 },
      { name: "a", batchSize: 101 },
      { name: "a", batchTimeout: "61s" },
      { name: "a", batchTimeout: 5 },
      { name: "a", backoff: "x" },
      { name: "a", retries: -1 },
      { name: "a", retries: 1.5 },
      { name: "a", deadLetter: "a" },
      { name: "a", concurrency: 0 },
    ];
    for (const value of wrong) assert.equal(toQueueConfig(value), null, JSON.stringify(value));
  });
});

describe("findQueue()", () => {
  const redis = {
    kind: "redis",
    name: "shared",
    url: "unix:/x",
    prefix: "e",
    timeoutMs: 1_000,
  } as const;
  const stores = [redis, { kind: "embedded", name: "default", durability: "process" } as const];
  const bindings = [
    {
      name: "JOBS",
      pools: null,
      sites: null,
      value: { kind: "queue", space: "jobs", store: "shared", limit: 5 } as const,
    },
  ];
  it("takes the store of the binding, or that of the queue before it", () => {
    const consumers = [
      consumer("jobs", "dead"),
      consumer("dead", "deader"),
      consumer("x", "y"),
      consumer("y", "x"),
    ];
    const all = { bindings, stores, consumers };
    const found = (name: string): string => {
      const { store, limit } = findQueue(name, all);
      return `${store.name} ${limit}`;
    };
    assert.equal(found("jobs"), "shared 5");
    assert.equal(found("dead"), "shared 100000");
    assert.equal(found("deader"), "shared 100000");
    assert.equal(found("other"), "default 100000");
    assert.equal(found("x"), "default 100000");
  });
});

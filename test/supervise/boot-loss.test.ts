import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { type BootLoss, describeBootLoss } from "../../runtime/supervise/boot-loss.ts";

const LOSS: BootLoss = {
  code: null,
  signal: null,
  isOomKill: false,
  isOverdue: false,
  loading: "handlers/b.ts",
  isInit: false,
  stack: [],
};
const OVERDUE = { ...LOSS, signal: "SIGKILL", isOverdue: true } as const;
const LIMIT = "bootTimeout (500 ms)";

function frame(file: string) {
  return { name: "spin", position: { file: join(process.cwd(), file), line: 3, column: 1 } };
}

describe("describeBootLoss()", () => {
  it("names the file that the worker loaded, and where it was blocked", () => {
    const table: [BootLoss, string][] = [
      [
        { ...LOSS, code: 4 },
        "handlers/b.ts: the worker exited with code 4 while it loaded this file",
      ],
      [
        { ...LOSS, signal: "SIGKILL", isOomKill: true },
        "handlers/b.ts: the worker exited with signal SIGKILL while it loaded this file: the kernel killed it because memory ran out",
      ],
      [
        { ...LOSS, signal: "SIGABRT" },
        "handlers/b.ts: the worker exited with signal SIGABRT while it loaded this file, as Node does when its heap is full",
      ],
      [
        OVERDUE,
        `handlers/b.ts: has not finished loading within ${LIMIT}, expected the top level to end`,
      ],
      [
        { ...OVERDUE, stack: [{ name: "RegExp.test", position: null }, frame("handlers/b.ts")] },
        `handlers/b.ts:3:1: blocks the event loop, and has not finished within ${LIMIT}, expected the top level to end`,
      ],
      [
        { ...OVERDUE, stack: [frame("node_modules/x/i.js"), frame("lib/spin.ts")] },
        `lib/spin.ts:3:1: blocks the event loop, and has not finished within ${LIMIT}, expected the top level to end (while handlers/b.ts loads)`,
      ],
      [
        { ...OVERDUE, stack: [frame("node_modules/x/i.js")] },
        `handlers/b.ts: blocks the event loop in a package, and has not finished loading within ${LIMIT}, expected the top level to end`,
      ],
      [
        { ...OVERDUE, isInit: true, stack: [frame("handlers/b.ts")] },
        `handlers/b.ts:3:1: init() blocks the event loop, and has not finished within ${LIMIT}, expected init() to end`,
      ],
      [
        { ...OVERDUE, isInit: true, stack: [frame("lib/spin.ts")] },
        `lib/spin.ts:3:1: init() blocks the event loop, and has not finished within ${LIMIT}, expected init() to end (init() of handlers/b.ts)`,
      ],
      [
        { ...OVERDUE, isInit: true },
        `handlers/b.ts: init() has not finished within ${LIMIT}, expected init() to end`,
      ],
      [
        { ...LOSS, isInit: true, code: 4 },
        "handlers/b.ts: the worker exited with code 4 while it ran init() of this file",
      ],
    ];
    for (const [loss, line] of table) {
      const message = describeBootLoss(loss, { bootTimeoutMs: 500 });
      assert.equal(message, `Cannot load handlers:\n${line}`);
    }
  });

  it("says that no handler was loaded yet", () => {
    const messages = [
      { ...LOSS, loading: null, code: 1 },
      { ...OVERDUE, loading: null },
    ].map((loss) => describeBootLoss(loss, { bootTimeoutMs: 500 }));
    assert.deepEqual(messages, [
      "Cannot start a worker: it exited with code 1 before it loaded any handler",
      `Cannot start a worker: it was not ready within ${LIMIT} before it loaded any handler`,
    ]);
  });
});

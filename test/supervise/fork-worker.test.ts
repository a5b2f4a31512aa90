import assert from "node:assert/strict";
import cluster from "node:cluster";
import { describe, it, type TestContext } from "node:test";
import { forkWorker, prepareForks, workerExecArgv } from "../../runtime/supervise/fork-worker.ts";

const MIB = 1024 ** 2;

/** The options of Node that a fork gets, beyond those that all workers get. */
function forkOptions(t: TestContext, heapLimitBytes: number | null): string[] {
  let seen: string[] = [];
  const mock = t.mock.method(cluster, "fork", () => {
    seen = cluster.settings.execArgv ?? [];
    throw new Error("not today");
  });
  assert.throws(() => forkWorker({}, { heapLimitBytes, log: { warn() {} } }), {
    code: "ERR_BOOT_LOOP",
  });
  mock.mock.restore();
  const always = workerExecArgv();
  assert.deepEqual(seen.slice(0, always.length), always);
  return seen.slice(always.length);
}

describe("forkWorker()", () => {
  it("limits the heap of one fork, and not of later forks", (t) => {
    prepareForks("nobody.js");
    assert.deepEqual(forkOptions(t, 512 * MIB), ["--max-old-space-size=512"]);
    assert.deepEqual(forkOptions(t, 100.5 * MIB), ["--max-old-space-size=101"]);
    assert.deepEqual(forkOptions(t, null), []);
    assert.deepEqual(cluster.settings.execArgv, workerExecArgv());
  });

  it("sets no limit when the options of Node have one", (t) => {
    prepareForks("nobody.js");
    const before = process.env["NODE_OPTIONS"];
    t.after(() => {
      if (before === undefined) delete process.env["NODE_OPTIONS"];
      else process.env["NODE_OPTIONS"] = before;
    });
    for (const flag of ["--max-old-space-size=99", "--max_old_space_size=99"]) {
      process.env["NODE_OPTIONS"] = `--no-warnings ${flag}`;
      assert.deepEqual(forkOptions(t, 512 * MIB), []);
    }
  });
});

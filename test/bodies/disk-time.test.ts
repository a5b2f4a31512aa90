import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import { inDiskTime } from "../../runtime/bodies/disk-time.ts";

describe("inDiskTime()", () => {
  it("returns the result of the operation", async () => {
    assert.equal(await inDiskTime(Promise.resolve(1)), 1);
    await assert.rejects(inDiskTime(Promise.reject(new Error("no"))), /no/);
  });

  it("fails when the disk does not answer, and discards a late result", async (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const disk = new EventEmitter();
    const operation = once(disk, "answer");
    const late: unknown[] = [];
    const outcome = assert.rejects(
      inDiskTime(operation, ([value]: unknown[]) => late.push(value)),
      { code: "ETIMEDOUT" },
    );
    t.mock.timers.tick(30_000);
    await outcome;
    assert.deepEqual(late, []);
    disk.emit("answer", "late");
    await operation;
    assert.deepEqual(late, ["late"]);
  });
});

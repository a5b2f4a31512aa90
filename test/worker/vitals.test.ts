import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { VitalsMeter } from "../../runtime/worker/vitals.ts";

describe("VitalsMeter", () => {
  it("tells how much memory the process has, and how busy it was since the last reading", async (t) => {
    // Node knows the utilization of a loop that has begun. From Node 22 on, a test may run before that.
    await delay(1);
    const meter = new VitalsMeter();
    const endMs = performance.now() + 30;
    while (performance.now() < endMs);
    const busy = meter.read();
    let idle = meter.read();
    // On a busy machine the loop may get no idle moment for a while.
    await eventually(t, () => (idle = meter.read()).loopUtilization < busy.loopUtilization);
    for (const { rssBytes, heapUsedBytes, loopUtilization } of [busy, idle]) {
      assert.ok(heapUsedBytes > 1024 ** 2);
      assert.ok(rssBytes > heapUsedBytes);
      assert.ok(loopUtilization >= 0 && loopUtilization <= 1);
    }
  });
});

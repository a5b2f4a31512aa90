import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import { describe, it } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { eventually } from "../helpers/eventually.ts";
import { BackgroundWork } from "../../runtime/worker/background-work.ts";
import { VitalsMeter } from "../../runtime/worker/vitals.ts";

describe("VitalsMeter", () => {
  it("tells how much memory the process has, and how busy it was since the last reading", async (t) => {
    // Node knows the utilization of a loop that has begun. From Node 22 on, a test may run before that.
    await delay(1);
    const meter = new VitalsMeter(new BackgroundWork());
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

  it("counts the promises that go on after their responses", async () => {
    const background = new BackgroundWork();
    const meter = new VitalsMeter(background);
    const events = new EventEmitter();
    const work = once(events, "end");
    background.add(work, { route: "/", onFailure: (reason) => assert.fail(String(reason)) });
    assert.equal(meter.read().backgroundWork, 1);
    events.emit("end");
    await background.settled();
    assert.equal(meter.read().backgroundWork, 0);
  });
});

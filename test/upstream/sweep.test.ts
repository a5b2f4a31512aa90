import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Sweep } from "../../runtime/upstream/sweep.ts";
import { eventually } from "../helpers/eventually.ts";
import { openSocketPair } from "../helpers/socket-pair.ts";

/** Time between two looks while requests are in flight. */
const INTERVAL_MS = 10;

describe("Sweep", () => {
  it("looks only after the answers have been read that came while the process had no processor", async (t) => {
    const [near, far] = await openSocketPair(t);
    const events: string[] = [];
    const sweep = new Sweep(() => {
      events.push("look");
      return "done";
    });
    t.after(() => sweep.stop());
    sweep.fit(8 * INTERVAL_MS);
    near.on("data", () => events.push("answer"));
    sweep.wake();
    // The kernel has the answer at once. The process is busy until the timer is long due.
    far.write("answer");
    const endMs = performance.now() + 5 * INTERVAL_MS;
    while (performance.now() < endMs);
    await eventually(t, () => events.length === 2);
    assert.deepEqual(events, ["answer", "look"]);
  });
});

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { InTurn } from "../../runtime/reload/in-turn.ts";

describe("InTurn", () => {
  it("runs tasks one after another, also after one that failed", async () => {
    const inTurn = new InTurn();
    const events: string[] = [];
    const task = (name: string, error: Error | null) => async (): Promise<string> => {
      events.push(`${name} begins`);
      await Promise.resolve();
      events.push(`${name} ends`);
      if (error !== null) throw error;
      return name;
    };
    const a = inTurn.run(task("a", new Error("no")));
    const b = inTurn.run(task("b", null));
    await assert.rejects(a, /no/);
    assert.equal(await b, "b");
    await inTurn.idle();
    assert.deepEqual(events, ["a begins", "a ends", "b begins", "b ends"]);
  });

  it("bounds the number of waiting tasks", async () => {
    const inTurn = new InTurn();
    const releases: (() => void)[] = [];
    const held = new Promise<void>((resolve) => releases.push(resolve));
    const all = Array.from({ length: 17 }, () => inTurn.run(() => held));
    await assert.rejects(
      inTurn.run(() => held),
      { code: "ERR_OVERLOADED" },
    );
    for (const release of releases) release();
    await Promise.all(all);
  });
});

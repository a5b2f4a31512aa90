import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { OneAtATime } from "../../runtime/lib/one-at-a-time.ts";

/** A task whose runs end when they are told to. */
class Runs {
  readonly ends: { resolve: () => void; reject: (error: Error) => void }[] = [];
  readonly task = (): Promise<void> =>
    new Promise((resolve, reject) => this.ends.push({ resolve, reject }));
}

describe("OneAtATime", { timeout: 60_000 }, () => {
  it("runs at once, and again after the end of the first run", async () => {
    const runs = new Runs();
    const one = new OneAtATime(runs.task);
    for (let count = 1; count <= 3; count++) {
      const run = one.run();
      assert.equal(runs.ends.length, count);
      runs.ends.at(-1)?.resolve();
      await run;
    }
  });

  it("gives all calls during a run the one run that follows", async () => {
    const runs = new Runs();
    const one = new OneAtATime(runs.task);
    const first = one.run();
    const others = [one.run(), one.run(), one.run()];
    runs.ends[0]?.reject(new Error("first"));
    await assert.rejects(first, { message: "first" });
    await new Promise(setImmediate);
    assert.equal(runs.ends.length, 2);
    // A call now must wait for another run: this one may have read old data.
    const last = one.run();
    runs.ends[1]?.reject(new Error("second"));
    for (const other of others) await assert.rejects(other, { message: "second" });
    await new Promise(setImmediate);
    assert.equal(runs.ends.length, 3);
    runs.ends[2]?.resolve();
    await last;
    await one.idle();
  });

  it("never runs twice at a time, whenever it is called", async () => {
    let running = 0;
    const one = new OneAtATime(async () => {
      assert.equal(++running, 1);
      await new Promise(setImmediate);
      running--;
    });
    const asked: Promise<void>[] = [];
    for (let count = 0; count < 20; count++) {
      asked.push(one.run());
      // All microtasks between the end of one run and the start of the next.
      asked.push(...Array.from({ length: 10 }, (_, turns) => afterTurns(turns, () => one.run())));
      if (count % 3 === 0) await new Promise(setImmediate);
    }
    await Promise.all(asked);
    await one.idle();
    assert.equal(running, 0);
  });

  it("is idle when no run is going on or waiting", async () => {
    const runs = new Runs();
    const one = new OneAtATime(runs.task);
    await one.idle();
    const asked = [one.run(), one.run()];
    let isIdle = false;
    const idle = one.idle().then(() => (isIdle = true));
    runs.ends[0]?.resolve();
    await new Promise(setImmediate);
    assert.equal(isIdle, false);
    runs.ends[1]?.resolve();
    await Promise.all([idle, ...asked]);
  });
});

async function afterTurns(turns: number, run: () => Promise<void>): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await Promise.resolve();
  await run();
}

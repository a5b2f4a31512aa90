import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pino, { type Logger } from "pino";
import { Departures } from "../../runtime/worker/departures.ts";

/** Returns the error of a write to a stream that has ended, as a timer of a handler throws it. */
function lateWrite(): unknown {
  let controller: ReadableStreamDefaultController | null = null;
  const stream = new ReadableStream({ start: (given) => void (controller = given) });
  stream.cancel().catch(() => {});
  try {
    (controller as ReadableStreamDefaultController | null)?.enqueue("late");
  } catch (error) {
    return error;
  }
  throw new Error("the stream took it");
}

function createLog(): { log: Logger; levels: () => unknown[] } {
  const lines: { level: number }[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as { level: number });
  return { log: pino({}, { write }), levels: () => lines.map(({ level }) => level) };
}

const [INFO, WARN] = [30, 40];

describe("Departures", () => {
  it("warns of late writes whose exchange is not known, for some seconds after a departure", (t) => {
    let nowMs = 1_000_000;
    t.mock.method(performance, "now", () => nowMs);
    const departures = new Departures();
    const { log, levels } = createLog();
    assert.equal(departures.explain(lateWrite(), log), false, "no client has left");
    departures.add(new Error("left"), { reason: "client-left", log: () => log });
    const write = lateWrite();
    assert.equal(departures.explain(write, log), true);
    assert.equal(departures.explain(write, log), true);
    assert.deepEqual(levels(), [WARN], "the same place is told once");
    assert.equal(departures.explain(lateWrite(), log), true);
    assert.deepEqual(levels(), [WARN, WARN], "another place");
    nowMs += 30_000;
    assert.equal(departures.explain(write, log), true, "a timer that goes on");
    nowMs += 30_000;
    assert.equal(departures.explain(write, log), true);
    assert.deepEqual(levels(), [WARN, WARN, WARN, WARN]);
    nowMs += 36_000;
    assert.equal(departures.explain(write, log), false, "the departure is too long ago");
  });

  it("names the exchange of the reason of an abort, once, however late", (t) => {
    let nowMs = 1_000_000;
    t.mock.method(performance, "now", () => nowMs);
    const departures = new Departures();
    const { log, levels } = createLog();
    const error = new Error("left");
    departures.add(error, { reason: "client-left", log: () => log });
    nowMs += 600_000;
    assert.equal(departures.explain(error, log), true);
    assert.equal(departures.explain(error, log), true);
    assert.equal(departures.explain(new Error("a bug"), log), false);
    assert.deepEqual(levels(), [INFO]);
  });
});

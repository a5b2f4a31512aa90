import assert from "node:assert/strict";
import { describe, it } from "node:test";
import pino from "pino";
import { RefusalLog } from "../../runtime/observe/refusal-log.ts";

function toRefused(line: string): unknown {
  const fields: unknown = JSON.parse(line);
  return (fields as Record<string, unknown>)["refused"];
}

describe("RefusalLog", () => {
  it("logs the first one at once, and all that follow once in ten seconds", (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const told: unknown[] = [];
    const log = pino(
      { base: null, timestamp: false },
      { write: (line: string) => void told.push(toRefused(line)) },
    );
    const refused = new RefusalLog(log, { setting: "maxConnections", message: "refused" });
    for (let count = 0; count < 4; count++) refused.note(100);
    assert.deepEqual(told, [1]);
    t.mock.timers.tick(9_999);
    refused.note(100);
    assert.deepEqual(told, [1]);
    t.mock.timers.tick(1);
    assert.deepEqual(told, [1, 4]);
    t.mock.timers.tick(10_000);
    refused.note(100);
    assert.deepEqual(told, [1, 4, 1]);
  });
});

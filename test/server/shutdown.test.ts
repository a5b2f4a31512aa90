import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Exit, exitCodeOf } from "../../runtime/server/shutdown.ts";

describe("exitCodeOf()", () => {
  const cases: [exit: Exit, code: number][] = [
    [{ code: 0, signal: null }, 0],
    [{ code: 70, signal: null }, 70],
    [{ code: null, signal: "SIGKILL" }, 137],
    [{ code: null, signal: "SIGTERM" }, 143],
    // It was never started.
    [{ code: null, signal: null }, 70],
  ];
  for (const [exit, code] of cases) {
    it(`is ${code} for ${JSON.stringify(exit)}`, () => {
      assert.equal(exitCodeOf(exit), code);
    });
  }
});

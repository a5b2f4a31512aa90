import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { staysAsParent } from "../../runtime/server/presence.ts";

describe("staysAsParent()", () => {
  const cases: [facts: Parameters<typeof staysAsParent>[0], stays: boolean][] = [
    [{ pid: 7, hasPidFile: false, hasServiceManager: false, isLaunched: false }, true],
    [{ pid: 7, hasPidFile: true, hasServiceManager: false, isLaunched: false }, false],
    [{ pid: 7, hasPidFile: false, hasServiceManager: true, isLaunched: false }, false],
    [{ pid: 7, hasPidFile: true, hasServiceManager: true, isLaunched: false }, false],
    [{ pid: 1, hasPidFile: false, hasServiceManager: false, isLaunched: false }, true],
    [{ pid: 1, hasPidFile: true, hasServiceManager: true, isLaunched: false }, true],
    [{ pid: 7, hasPidFile: true, hasServiceManager: true, isLaunched: true }, true],
  ];
  for (const [facts, stays] of cases) {
    it(`is ${stays} for ${JSON.stringify(facts)}`, () => {
      assert.equal(staysAsParent(facts), stays);
    });
  }
});

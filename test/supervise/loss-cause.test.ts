import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  classifyLoss,
  isOwnDoing,
  type LossCause,
  type ProcessExit,
} from "../../runtime/supervise/loss-cause.ts";

const NOTHING = { givenUp: null, oomKilled: false };
const OOM = { givenUp: null, oomKilled: true };

function exitCode(code: number): ProcessExit {
  return { code, signal: null };
}

function bySignal(signal: NodeJS.Signals): ProcessExit {
  return { code: null, signal };
}

describe("classifyLoss()", () => {
  it("tells exits of a worker's own doing from kills by other processes", () => {
    const table: [exit: ProcessExit, known: typeof NOTHING, cause: LossCause][] = [
      [exitCode(0), NOTHING, "crashed"],
      [exitCode(1), NOTHING, "crashed"],
      [exitCode(134), OOM, "crashed"],
      [bySignal("SIGABRT"), NOTHING, "crashed"],
      [bySignal("SIGSEGV"), NOTHING, "crashed"],
      [bySignal("SIGBUS"), NOTHING, "crashed"],
      [bySignal("SIGILL"), NOTHING, "crashed"],
      [bySignal("SIGFPE"), NOTHING, "crashed"],
      [bySignal("SIGTRAP"), NOTHING, "crashed"],
      [bySignal("SIGSYS"), NOTHING, "crashed"],
      [bySignal("SIGKILL"), NOTHING, "killed"],
      [bySignal("SIGKILL"), OOM, "crashed"],
      [bySignal("SIGTERM"), NOTHING, "killed"],
      [bySignal("SIGTERM"), OOM, "killed"],
      [bySignal("SIGUSR2"), NOTHING, "killed"],
    ];
    for (const [exit, known, cause] of table) {
      const found = classifyLoss(exit, known);
      assert.equal(found, cause, `${exit.code} ${exit.signal} ${known.oomKilled}`);
    }
  });

  it("returns the cause for which the primary ended the worker, however it exited", () => {
    for (const givenUp of ["crashed", "hung", "breach", "retired"] as const) {
      for (const exit of [exitCode(0), exitCode(70), bySignal("SIGKILL"), bySignal("SIGSEGV")]) {
        assert.equal(classifyLoss(exit, { givenUp, oomKilled: true }), givenUp);
      }
    }
  });
});

describe("isOwnDoing()", () => {
  it("is true of crashed and hung workers only", () => {
    const causes: LossCause[] = ["crashed", "hung", "killed", "breach", "retired"];
    assert.deepEqual(causes.filter(isOwnDoing), ["crashed", "hung"]);
  });
});

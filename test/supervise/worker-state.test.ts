import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  transition,
  type WorkerEvent,
  type WorkerState,
} from "../../runtime/supervise/worker-state.ts";

const STARTING: WorkerState = { kind: "starting", sinceMs: 1 };
const READY: WorkerState = { kind: "ready", sinceMs: 2 };
const DRAINING: WorkerState = { kind: "draining", deadlineMs: 3 };
const EXITED: WorkerState = { kind: "exited", code: 0, signal: null };

const BECOMES_READY: WorkerEvent = { type: "ready", nowMs: 20 };
const DRAIN: WorkerEvent = { type: "drain", deadlineMs: 30 };
const KILLED: WorkerEvent = { type: "exit", code: null, signal: "SIGKILL" };

const NOW_READY: WorkerState = { kind: "ready", sinceMs: 20 };
const NOW_DRAINING: WorkerState = { kind: "draining", deadlineMs: 30 };
const NOW_KILLED: WorkerState = { kind: "exited", code: null, signal: "SIGKILL" };

describe("transition()", () => {
  it("leads from each state, on each event, to the expected one", () => {
    const table: [from: WorkerState, event: WorkerEvent, to: WorkerState][] = [
      [STARTING, BECOMES_READY, NOW_READY],
      [STARTING, DRAIN, NOW_DRAINING],
      [STARTING, KILLED, NOW_KILLED],
      [READY, BECOMES_READY, READY],
      [READY, DRAIN, NOW_DRAINING],
      [READY, KILLED, NOW_KILLED],
      [DRAINING, BECOMES_READY, DRAINING],
      // The deadline only comes closer.
      [DRAINING, DRAIN, DRAINING],
      [NOW_DRAINING, { type: "drain", deadlineMs: 3 }, DRAINING],
      [DRAINING, KILLED, NOW_KILLED],
      [EXITED, BECOMES_READY, EXITED],
      [EXITED, DRAIN, EXITED],
      [EXITED, KILLED, EXITED],
    ];
    for (const [from, event, to] of table) {
      assert.deepEqual(transition(from, event), to, `${from.kind}, ${event.type}`);
    }
  });
});

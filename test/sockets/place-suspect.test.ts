import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  PATIENCE_MS,
  placeSuspect,
  type SuspectPlace,
} from "../../runtime/sockets/place-suspect.ts";

const idle: SuspectPlace = { isKept: false, busy: 0, runsForMs: null };
const busy: SuspectPlace = { ...idle, busy: 3 };
const kept: SuspectPlace = { ...idle, isKept: true };
const draining: SuspectPlace = { ...kept, busy: 2 };
const runs: SuspectPlace = { ...kept, busy: 1, runsForMs: 10 };
const runsLong: SuspectPlace = { ...kept, busy: 1, runsForMs: PATIENCE_MS };

describe("placeSuspect()", () => {
  const cases: [name: string, places: SuspectPlace[], waitedMs: number, expected: string][] = [
    ["waits without a worker", [], 60_000, "wait"],
    ["keeps the worker with the least work", [busy, idle], 0, "keep 1"],
    ["keeps half of the workers", [kept, idle, idle, idle], 0, "run 0"],
    ["keeps a second one of four", [runs, idle, idle, idle], 0, "keep 1"],
    ["keeps no more", [runs, runs, idle, idle], 0, "wait"],
    ["runs at a kept worker without other work", [kept, busy], 0, "run 0"],
    ["waits for the work of a kept worker", [draining, idle], 0, "wait"],
    ["runs beside it in the end", [draining, idle], PATIENCE_MS, "run 0"],
    ["waits for the suspect before", [runs, idle], PATIENCE_MS, "wait"],
    ["does not wait for a long function", [runsLong, idle], PATIENCE_MS, "run 0"],
    ["opens a kept worker if the others are gone", [kept], 0, "open 0"],
    ["waits for a second worker", [idle], PATIENCE_MS - 1, "wait"],
    ["runs at an only worker in the end", [busy], PATIENCE_MS, "run 0"],
    ["has one suspect at an only worker", [{ ...busy, runsForMs: 1 }], PATIENCE_MS, "wait"],
  ];
  for (const [name, places, waitedMs, expected] of cases) {
    it(name, () => {
      const step = placeSuspect(places, waitedMs);
      const found = step.do === "wait" ? "wait" : `${step.do} ${places.indexOf(step.at)}`;
      assert.equal(found, expected);
    });
  }
});

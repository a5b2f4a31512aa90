import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { HandlerPool } from "../../runtime/handlers/handler-pool.ts";
import { profileWorker } from "../../runtime/server/profile.ts";

/** A pool with one worker, which has no process. */
function poolWith(state: string, app: object | null): HandlerPool {
  const workers = [{ id: 3, pid: 4711, state }];
  // The function reads these members only, before it opens an inspector.
  return { workers, plan: { name: "default", app } } as unknown as HandlerPool;
}

describe("profileWorker()", () => {
  const signal = new AbortController().signal;
  const cases: [label: string, pools: HandlerPool[], target: number, problem: RegExp][] = [
    ["an unknown worker", [poolWith("ready", null)], 4, /expected 3 \(process 4711\) or primary$/],
    ["a server without workers", [], 4, /expected primary$/],
    ["a Python worker", [poolWith("ready", {})], 3, /it runs Python.*py-spy record --pid 4711/],
    ["a worker that starts", [poolWith("starting", null)], 4711, /it is starting, expected ready/],
  ];
  for (const [label, pools, target, problem] of cases) {
    it(`refuses ${label}`, async () => {
      const events = profileWorker(pools, { target, kind: "cpu" }, signal);
      await assert.rejects(events.next(), { code: "ERR_CONFIG", message: problem });
    });
  }
});

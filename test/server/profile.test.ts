import assert from "node:assert/strict";
import { once } from "node:events";
import { spawn } from "node:child_process";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { HandlerPool } from "../../runtime/handlers/handler-pool.ts";
import { profileWorker } from "../../runtime/server/profile.ts";
import { removeLeftSnapshots, toSnapshotPath } from "../../runtime/server/profile-primary.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

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

describe("removeLeftSnapshots()", { timeout: 60_000 }, () => {
  it("removes heap snapshots of processes that are dead, and of this one's number", async (t) => {
    const stateDir = temporaryFolder(t);
    const dead = spawn(process.execPath, ["--version"], { stdio: "ignore" });
    await once(dead, "exit");
    const kept = [`primary-${process.ppid}-b.heapsnapshot`, "primary-note.txt", "pools"];
    const left = [`primary-${dead.pid}-a.heapsnapshot`, `primary-${process.pid}-c.heapsnapshot`];
    for (const name of [...kept, ...left]) writeFileSync(join(stateDir, name), "");
    await removeLeftSnapshots(stateDir);
    assert.deepEqual(readdirSync(stateDir).toSorted(), kept.toSorted());
    await removeLeftSnapshots(join(stateDir, "missing"));
  });

  it("knows the names that a heap snapshot of the primary has", async (t) => {
    const stateDir = temporaryFolder(t);
    // A real one of this process, with all tests in it, would take half a minute.
    writeFileSync(toSnapshotPath(stateDir), "");
    // As if this process were a later one of the same number.
    await removeLeftSnapshots(stateDir);
    assert.deepEqual(readdirSync(stateDir), []);
  });
});

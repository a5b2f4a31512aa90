import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { readSessions } from "../../scripts/bench/proc.ts";
import { ProcessGroup } from "../../scripts/bench/process-group.ts";

const LINUX_ONLY = { skip: process.platform !== "linux" && "reads /proc", timeout: 180_000 };

describe("ProcessGroup", LINUX_ONLY, () => {
  it("stops the programs that its programs have started, too", async (t) => {
    const { group, living } = start(t, "sleep 600 & sleep 600 & wait");
    await until(() => readSessions(group.sessions).size === 3);
    assert.equal(group.failure, undefined);
    await group.stop();
    assert.equal(living.size, 0);
    // Another process has to fetch the ends of orphans.
    await until(() => readSessions(group.sessions).size === 0);
  });

  it("reports the last lines of a program that ends unexpectedly", async (t) => {
    const { group } = start(t, "echo 'no such port' >&2; exit 3");
    await until(() => group.failure !== undefined);
    assert.match(group.failure ?? "", /ended with exit code 3: no such port/);
    await group.stop();
  });

  it("reports a program that cannot be started, and still stops", async (t) => {
    const { group } = start(t, "exit", "/nowhere/sh");
    await until(() => group.failure !== undefined);
    assert.match(group.failure ?? "", /ENOENT/);
    await group.stop();
  });

  it("is killed with all its programs on a synchronous exit", async (t) => {
    const { group } = start(t, "trap '' TERM; sleep 600 & wait");
    await until(() => readSessions(group.sessions).size === 2);
    group.killNow();
    await until(() => readSessions(group.sessions).size === 0);
  });
});

function start(
  t: TestContext,
  script: string,
  shell = "/bin/sh",
): { readonly group: ProcessGroup; readonly living: ReadonlySet<ProcessGroup> } {
  const folder = mkdtempSync(join(tmpdir(), "process-group-"));
  const living = new Set<ProcessGroup>();
  const options = { outputFile: join(folder, "output"), graceMs: 200, launcher: [], living };
  const group = new ProcessGroup([{ file: shell, args: ["-c", script] }], options);
  t.after(async () => {
    group.killNow();
    await group.stop();
    rmSync(folder, { recursive: true });
  });
  return { group, living };
}

/** The process table sends no events; the timeout of the tests ends a condition that never comes true. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

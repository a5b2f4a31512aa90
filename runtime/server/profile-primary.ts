import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, rm } from "node:fs/promises";
import { Session } from "node:inspector/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { writeHeapSnapshot } from "node:v8";
import type { ProfileEvent, ProfileRequest } from "../control/profiling.ts";
import { RuntimeError } from "../lib/errors.ts";
import { isAlive } from "../lib/is-alive.ts";

/** The names of heap snapshots: `primary-PID-UUID.heapsnapshot`. */
const PREFIX = "primary-";
const ENDING = ".heapsnapshot";

/** Characters of a profile in one event. */
const TEXT_LENGTH = 64 * 1024;

/**
 * Profiles this process. The signal ends a CPU profile, which is lost then. While a heap snapshot is taken, this process does
 * nothing else: a file in the state folder keeps the snapshot out of its memory.
 *
 * @throws RuntimeError `ERR_OVERLOADED` when the file cannot be written.
 */
export async function* profilePrimary(
  { kind, seconds }: Pick<ProfileRequest, "kind" | "seconds">,
  { stateDir, signal }: { stateDir: string; signal: AbortSignal },
): AsyncGenerator<ProfileEvent> {
  yield { type: "begun", process: "the primary", pid: process.pid, inspectorUrl: null };
  if (kind === "cpu") {
    const text = await recordCpu(seconds, signal);
    for (let at = 0; at < text.length; at += TEXT_LENGTH) {
      yield { type: "text", text: text.slice(at, at + TEXT_LENGTH) };
    }
  } else {
    const path = toSnapshotPath(stateDir);
    try {
      takeSnapshot(path);
      const options = { encoding: "utf8", highWaterMark: TEXT_LENGTH } as const;
      // A stream with an encoding yields texts.
      for await (const text of createReadStream(path, options) as AsyncIterable<string>) {
        yield { type: "text", text };
      }
    } finally {
      await rm(path, { force: true });
    }
  }
  yield { type: "done" };
}

/** Returns the path of a new heap snapshot of this process. */
export function toSnapshotPath(stateDir: string): string {
  return join(stateDir, `${PREFIX}${process.pid}-${randomUUID()}${ENDING}`);
}

/**
 * Removes the heap snapshots of primaries that were killed while they took one: they have secrets. Must be called before this process
 * takes one, since a new container gives the same process id again. Never rejects.
 */
export async function removeLeftSnapshots(stateDir: string): Promise<void> {
  const names = await readdir(stateDir).catch((): string[] => []);
  const left = names.filter((name) => {
    if (!name.startsWith(PREFIX) || !name.endsWith(ENDING)) return false;
    const pid = Number.parseInt(name.slice(PREFIX.length), 10);
    return pid === process.pid || !isAlive(pid);
  });
  // A file that stays is one that another process removes at this moment, or that this process may not remove.
  await Promise.all(left.map((name) => rm(join(stateDir, name), { force: true }).catch(() => {})));
}

async function recordCpu(seconds: number, signal: AbortSignal): Promise<string> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    await delay(seconds * 1_000, null, { signal });
    const { profile } = await session.post("Profiler.stop");
    return JSON.stringify(profile);
  } finally {
    session.disconnect();
  }
}

/** V8 creates the file with mode 0600. */
function takeSnapshot(path: string): void {
  try {
    writeHeapSnapshot(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new RuntimeError("ERR_OVERLOADED", `Cannot write a heap snapshot to ${path}: ${reason}`, {
      cause: error,
    });
  }
}

import { setTimeout as delay } from "node:timers/promises";
import { RuntimeError } from "../../lib/errors.ts";
import type { InspectorSession } from "../../supervise/hang/inspector-session.ts";

/** Longest wait for a heap snapshot, and for the end of a CPU profile. */
const ANSWER_MS = 10 * 60_000;

/**
 * Records a CPU profile. The signal ends it early.
 *
 * @returns The text of a `.cpuprofile`.
 * @throws RuntimeError `ERR_WORKER_EXITED` when the session ends before.
 */
export async function recordCpu(
  session: InspectorSession,
  seconds: number,
  signal: AbortSignal,
): Promise<string> {
  return explain(async () => {
    const limit = AbortSignal.timeout(seconds * 1_000 + ANSWER_MS);
    await session.call("Profiler.enable", {}, limit);
    await session.call("Profiler.start", {}, limit);
    const over = AbortSignal.any([signal, session.ended]);
    await delay(seconds * 1_000, null, { signal: over }).catch(() => {});
    const { profile } = (await session.call("Profiler.stop", {}, limit)) as { profile: unknown };
    return JSON.stringify(profile);
  });
}

/**
 * Takes a heap snapshot. Passes the text of the `.heapsnapshot` on piece by piece.
 *
 * @throws RuntimeError `ERR_WORKER_EXITED` when the session ends before; the error of `write`.
 */
export async function takeHeapSnapshot(
  session: InspectorSession,
  write: (text: string) => void,
): Promise<void> {
  let failure: { error: unknown } | null = null;
  session.onEvent = (method, params) => {
    if (method !== "HeapProfiler.addHeapSnapshotChunk" || failure !== null) return;
    try {
      // https://chromedevtools.github.io/devtools-protocol/v8/HeapProfiler/#event-addHeapSnapshotChunk
      write((params as { chunk: string }).chunk);
    } catch (error) {
      failure = { error };
      session.close();
    }
  };
  try {
    await explain(() =>
      session.call(
        "HeapProfiler.takeHeapSnapshot",
        { reportProgress: false },
        AbortSignal.timeout(ANSWER_MS),
      ),
    );
  } catch (error) {
    throw (failure as { error: unknown } | null)?.error ?? error;
  }
}

async function explain<Value>(run: () => Promise<Value>): Promise<Value> {
  try {
    return await run();
  } catch (error) {
    if (error instanceof RuntimeError) throw error;
    throw new RuntimeError(
      "ERR_WORKER_EXITED",
      "Cannot finish the profile: the worker ended meanwhile, or stopped answering",
      { cause: error },
    );
  }
}

import { setTimeout as delay } from "node:timers/promises";
import { toGenerationDir } from "../generation/generation-store.ts";
import { loadManifest } from "../generation/manifest.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { ExerciseName } from "./exercise-names.ts";
import type { DrillFolder } from "./drill-folder.ts";
import { DrillServer } from "./drill-server.ts";
import { statusOf } from "./connection.ts";
import { BRIEF_MOST_UNANSWERED, EXERCISES, type Exercise, residentBytesOf } from "./exercises.ts";
import { type ExerciseResult, judge } from "./judge.ts";
import { startLoad } from "./load.ts";
import { pickTarget, type Target } from "./pick-target.ts";

export interface DrillOptions {
  readonly folder: DrillFolder;
  /** Returns the command that starts the server with these flags besides its own. */
  readonly command: (flags: readonly string[]) => readonly [program: string, ...args: string[]];
  readonly cwd: string;
  /** The path that clients request; `null`: a route that is found. */
  readonly path: string | null;
  /** The exercises to run; `null`: all. */
  readonly only: readonly ExerciseName[] | null;
  readonly brief: boolean;
  /** Approximate duration of the load in each exercise. */
  readonly seconds: number;
  /** Called with the process ids that must not survive this process; empty: none. */
  readonly watch: (pids: readonly number[]) => void;
  readonly signal: AbortSignal;
  /** Called when an exercise has ended. */
  readonly onResult: (result: ExerciseResult) => void;
}

/** Requests per second of all clients together. */
const PER_SECOND = 120;
const BRIEF_PER_SECOND = 60;

/** Least duration of the load before and after each exercise. */
const AROUND_MS = 300;

/**
 * Runs one exercise after another, each under load, and returns their results. Ends the server on every path.
 *
 * @throws ERR_LISTEN when the server does not start; ERR_CONFIG when the path cannot be used; the signal's reason.
 */
export async function drill(options: DrillOptions): Promise<ExerciseResult[]> {
  const { only } = options;
  const results: ExerciseResult[] = [];
  let workerBytes: number | null = null;
  let running: Running | null = null;
  try {
    for (const exercise of EXERCISES.filter(({ name }) => only?.includes(name) ?? true)) {
      if (exercise.needsFacts && workerBytes === null) {
        running ??= await startServer(options, []);
        workerBytes = await largestWorker(running);
      }
      const flags = exercise.flags({ workerBytes });
      if (running === null || flags.join(" ") !== running.flags) {
        await running?.server.stop();
        running = null;
        running = await startServer(options, flags);
      }
      const result = await runExercise(exercise, running, options);
      results.push(result);
      options.onResult(result);
    }
    return results;
  } finally {
    await running?.server.stop();
    options.watch([]);
  }
}

/** A server that serves, and the path that clients request. */
interface Running {
  readonly flags: string;
  readonly server: DrillServer;
  readonly target: Target;
  /** The status of the path when all is well. */
  readonly status: number;
}

async function startServer(options: DrillOptions, flags: readonly string[]): Promise<Running> {
  const { folder, cwd, signal } = options;
  const { stateDir } = folder;
  const server = await DrillServer.start({
    command: options.command(flags),
    cwd,
    stateDir,
    signal,
    onPid: (pid) => options.watch([pid]),
  });
  try {
    const { generation } = await server.status();
    const { routes } = await loadManifest(toGenerationDir(stateDir, generation));
    const target = pickTarget(routes, options.path);
    const status = await statusOf(server.plain, target.path);
    if (status === 0 || status >= 500) {
      throw new RuntimeError(
        "ERR_CONFIG",
        `Cannot drill with GET ${target.path}: found status ${status}, expected a path that works (--path PATH)`,
      );
    }
    return { flags: flags.join(" "), server, target, status };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function runExercise(
  exercise: Exercise,
  { server, target, status }: Running,
  { folder, brief, seconds, signal }: DrillOptions,
): Promise<ExerciseResult> {
  const { name } = exercise;
  const startMs = performance.now();
  const perSecond = brief ? BRIEF_PER_SECOND : PER_SECOND;
  const mostUnanswered = brief ? BRIEF_MOST_UNANSWERED : Infinity;
  const load = await startLoad(server, { path: target.path, perSecond, mostUnanswered, status });
  let seen: ExerciseResult["seen"] | null = null;
  try {
    await delay(AROUND_MS, null, { signal });
    const { pool } = target;
    const outcome = await exercise.run({ server, folder, pool, brief, seconds, signal });
    const restMs = seconds * 1000 - (performance.now() - startMs);
    await delay(Math.max(AROUND_MS, restMs), null, { signal });
    seen = await load.stop();
    const { note, breaches, skipped = false } = outcome;
    // The short form also runs on machines too busy for fewer workers to keep up: a 503 there says nothing about
    // Edgicorn.
    const mayRefuse = exercise.mayRefuse || brief;
    return { name, seen, note, breaches: [...judge(seen, { mayRefuse }), ...breaches], skipped };
  } finally {
    if (seen === null) await load.stop();
  }
}

/** Returns the memory of the largest worker; `null` if the system does not tell. */
async function largestWorker({ server }: Running): Promise<number | null> {
  const workers = await server.readyWorkers("default");
  const sizes = await Promise.all(workers.map(({ pid }) => residentBytesOf(pid)));
  const known = sizes.filter((size) => size !== null);
  return known.length === 0 ? null : Math.max(...known);
}

import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import { Connection, type Endpoint, formatHead, statusOf } from "./connection.ts";
import { type DrillFolder, LEAK_PATH, SLOW_MS, SLOW_PATH } from "./drill-folder.ts";
import type { DrillServer } from "./drill-server.ts";
import { EXERCISE_NAMES, type ExerciseName } from "./exercise-names.ts";
import { OpenLoop } from "./open-loop.ts";

/** The server under the exercise, and its settings. */
export interface ExerciseContext {
  readonly server: DrillServer;
  readonly folder: DrillFolder;
  /** The pool whose workers answer the load. */
  readonly pool: string;
  /** The short form, for every change. */
  readonly brief: boolean;
  /** Approximate duration of the load. */
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** The result of an exercise. */
export interface ExerciseOutcome {
  /** The server's reaction, in a few words. */
  readonly note: string;
  readonly breaches: readonly string[];
  /** The exercise cannot run here. */
  readonly skipped?: true;
}

/** Facts about the installation, for exercises that set a limit. */
export interface InstallFacts {
  /** Memory of a worker after some requests; `null` if the system does not tell. */
  readonly workerBytes: number | null;
}

/** One fault that happens while clients send requests. */
export interface Exercise {
  readonly name: ExerciseName;
  /** The load exceeds the server's capacity. */
  readonly mayRefuse: boolean;
  /** Flags that the exercise needs in addition. Exercises in a row with the same flags share one server. */
  readonly flags: (facts: InstallFacts) => readonly string[];
  /** The flags depend on the facts. */
  readonly needsFacts?: true;
  readonly run: (context: ExerciseContext) => Promise<ExerciseOutcome>;
}

/** Longest wait for the replacement of a worker. */
const REPLACED_MS = 60_000;

/** In the drill, a worker ends after this silence. */
const HANG_FLAGS = ["--hang-timeout", "1s"] as const;

type ExerciseBody = Omit<Exercise, "name">;

/** An exercise on a server without special settings. */
function onPlainServer(run: Exercise["run"]): ExerciseBody {
  return { mayRefuse: false, flags: () => HANG_FLAGS, run };
}

const BODIES: Readonly<Record<ExerciseName, ExerciseBody>> = {
  nothing: onPlainServer(doNothing),
  "kill a worker": onPlainServer((context) => loseWorker(context, "SIGKILL")),
  "freeze a loop": onPlainServer((context) => loseWorker(context, "SIGSTOP")),
  "break a deploy": onPlainServer(breakDeploy),
  reload: onPlainServer(reloadOften),
  "swap a certificate": onPlainServer(swapCertificate),
  "fill the queue": {
    mayRefuse: true,
    flags: () => ["--worker-concurrency", "4", "--queue-limit", "8"],
    run: fillQueue,
  },
  "shrink memory": {
    mayRefuse: false,
    needsFacts: true,
    flags: ({ workerBytes }) => [
      "--worker-memory-limit",
      String((workerBytes ?? UNKNOWN_BYTES) + HEADROOM_BYTES),
    ],
    run: shrinkMemory,
  },
};

/**
 * Most unanswered requests at a time in the short form. A machine that is too busy for the rate would have more and more,
 * until clients give up.
 */
export const BRIEF_MOST_UNANSWERED = 40;

/** All exercises, in order. */
export const EXERCISES: readonly Exercise[] = EXERCISE_NAMES.map((name) => ({
  name,
  ...BODIES[name],
}));

/** How much a worker may grow before it is recycled. A leak of 1 MiB per request fills this within seconds. */
const HEADROOM_BYTES = 64 * 1024 ** 2;
const UNKNOWN_BYTES = 128 * 1024 ** 2;

/** Resident set of a process; `null` if the system does not tell. */
export async function residentBytesOf(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

/** The base line for all other exercises. */
async function doNothing({ seconds, signal }: ExerciseContext): Promise<ExerciseOutcome> {
  await delay(seconds * 1000, null, { signal });
  return { note: "as it is", breaches: [] };
}

async function loseWorker(
  { server, pool }: ExerciseContext,
  signal: "SIGKILL" | "SIGSTOP",
): Promise<ExerciseOutcome> {
  const workers = await server.readyWorkers(pool);
  const [victim] = workers;
  if (victim === undefined) return { note: "", breaches: ["no worker was ready"] };
  const startMs = performance.now();
  process.kill(victim.pid, signal);
  const replaced = await server.untilReplaced([victim.pid], {
    pool,
    count: workers.length,
    timeoutMs: REPLACED_MS,
  });
  const seconds = ((performance.now() - startMs) / 1000).toFixed(1);
  return replaced
    ? { note: `replaced within ${seconds} s`, breaches: [] }
    : { note: "", breaches: [`the worker was not replaced within ${seconds} s`] };
}

async function breakDeploy({ server, folder }: ExerciseContext): Promise<ExerciseOutcome> {
  const before = (await server.status()).generation;
  const name = await folder.breakHandlers();
  try {
    const answer = await server.reload();
    const { generation } = await server.status();
    const breaches: string[] = [];
    if (answer.kind !== "refused") breaches.push("handlers that do not compile were not refused");
    else if (!answer.message.includes(name)) {
      breaches.push(`the refusal does not name the file: ${answer.message}`);
    }
    if (generation !== before) breaches.push("another generation serves than before");
    return { note: "refused, the old one serves on", breaches };
  } finally {
    await folder.mendHandlers();
  }
}

async function reloadOften({ server, folder, brief }: ExerciseContext): Promise<ExerciseOutcome> {
  const times = brief ? 5 : 20;
  const breaches: string[] = [];
  for (let time = 0; time < times; time++) {
    await folder.changeHandlers();
    const answer = await server.reload();
    if (answer.kind !== "done") breaches.push(`reload ${time + 1}: ${answer.message}`);
  }
  return { note: `${times} times, each with new workers`, breaches };
}

async function swapCertificate({ server, folder }: ExerciseContext): Promise<ExerciseOutcome> {
  const before = await readFingerprint(server.secure);
  await folder.renewCertificate();
  const answer = await server.reload();
  const after = await readFingerprint(server.secure);
  const breaches: string[] = [];
  if (answer.kind !== "done") breaches.push(`refused: ${answer.message}`);
  if (before === after) breaches.push("new connections see the old certificate");
  return { note: "new connections see the new one", breaches };
}

async function fillQueue(context: ExerciseContext): Promise<ExerciseOutcome> {
  const { server, seconds, signal } = context;
  const skipped = await skipUnlessAnswered(context, SLOW_PATH);
  if (skipped !== null) return skipped;
  const { length: workers } = await server.readyWorkers("default");
  // Twice the capacity of all workers, with four requests at a time each.
  const perSecond = (2 * workers * 4 * 1000) / SLOW_MS;
  const until = delay(seconds * 1000, null, { signal });
  const statuses = await sendMany(server.plain, SLOW_PATH, { perSecond, until });
  const served = statuses.filter((status) => status === 200).length;
  const refused = statuses.filter((status) => status === 503).length;
  const breaches: string[] = [];
  if (served === 0) breaches.push("nothing was answered under overload");
  if (refused === 0) breaches.push("nothing was refused: the queue has no bound");
  const others = statuses.length - served - refused;
  if (others > 0) breaches.push(`${others} got neither an answer nor a refusal`);
  // After the overload, requests are answered again.
  if ((await statusOf(server.plain, SLOW_PATH)) !== 200) {
    breaches.push("requests are refused when the overload is over");
  }
  return { note: `of twice the load ${served} served, ${refused} refused`, breaches };
}

async function shrinkMemory(context: ExerciseContext): Promise<ExerciseOutcome> {
  const { server, brief } = context;
  const skipped = await skipUnlessAnswered(context, LEAK_PATH);
  if (skipped !== null) return skipped;
  const workers = await server.readyWorkers("default");
  const gone = workers.map(({ pid }) => pid);
  const replacing = server.untilReplaced(gone, {
    pool: "default",
    count: workers.length,
    timeoutMs: REPLACED_MS,
  });
  const perSecond = 25 * workers.length;
  const mostUnanswered = brief ? BRIEF_MOST_UNANSWERED : Infinity;
  const how = { perSecond, mostUnanswered, until: replacing };
  const statuses = await sendMany(server.plain, LEAK_PATH, how);
  const replaced = await replacing;
  // A machine that is busy with other work may make the server refuse some.
  const failed = statuses.filter((status) => status !== 200 && !(brief && status === 503)).length;
  const breaches: string[] = [];
  if (!replaced) breaches.push("a worker that leaks was not replaced");
  if (failed > 0) breaches.push(`${failed} requests to the handler that leaks failed`);
  return { note: "a worker that leaks was replaced", breaches };
}

/** Skips the exercise when the operator's middleware answers before the drill's own handler. */
async function skipUnlessAnswered(
  { server }: ExerciseContext,
  path: string,
): Promise<ExerciseOutcome | null> {
  const status = await statusOf(server.plain, path);
  if (status === 200) return null;
  return {
    note: `skipped: ${path}, a handler of the drill, is answered ${status}`,
    breaches: [],
    skipped: true,
  };
}

/** Sends GETs at a steady rate until a promise settles. Returns all statuses after the last answer; 0 for no answer. */
async function sendMany(
  endpoint: Endpoint,
  path: string,
  options: { perSecond: number; mostUnanswered?: number; until: Promise<unknown> },
): Promise<number[]> {
  const { perSecond, mostUnanswered = Infinity, until } = options;
  const statuses: number[] = [];
  const loop = await OpenLoop.start({
    ways: [{ endpoint, fresh: true, ready: 0, most: Infinity }],
    perSecond,
    mostUnanswered,
    request: () => formatHead("GET", path),
    onSample: ({ answer }) => statuses.push(answer?.status ?? 0),
  });
  try {
    await until;
  } finally {
    await loop.stop();
  }
  return statuses;
}

/** Returns the fingerprint of the certificate that a new connection gets; empty when there is none. */
async function readFingerprint(endpoint: Endpoint): Promise<string> {
  try {
    const { socket } = await Connection.open(endpoint);
    const shown = socket instanceof TLSSocket ? socket.getPeerCertificate().fingerprint256 : "";
    socket.destroy();
    return shown;
  } catch {
    // An empty fingerprint differs from every other one.
    return "";
  }
}

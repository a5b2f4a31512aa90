import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import { request as requestPlain } from "node:http";
import { type DrillFolder, LEAK_PATH, SLOW_MS, SLOW_PATH } from "./drill-folder.ts";
import type { DrillServer } from "./drill-server.ts";
import { EXERCISE_NAMES, type ExerciseName } from "./exercise-names.ts";

/** What an exercise has to do with. */
export interface Stage {
  readonly server: DrillServer;
  readonly folder: DrillFolder;
  /** The pool whose workers answer the load. */
  readonly pool: string;
  /** The short form, for every change. */
  readonly brief: boolean;
  /** How long the load goes on, about. */
  readonly seconds: number;
  readonly signal: AbortSignal;
}

/** What an exercise has to say. */
export interface ExerciseOutcome {
  /** What the server did, in a few words. */
  readonly note: string;
  readonly breaches: readonly string[];
  /** It cannot be done here. */
  readonly skipped?: true;
}

/** What is known of the install before an exercise that sets a limit. */
export interface InstallFacts {
  /** Of one of its workers that has served a little; `null` where the system does not tell. */
  readonly workerBytes: number | null;
}

/** One thing that goes wrong while clients go on asking. */
export interface Exercise {
  readonly name: ExerciseName;
  /** More is asked than the server can do. */
  readonly mayRefuse: boolean;
  /** Settings that it needs, by their flags, besides those of all. Of the same flags, one server serves all in a row. */
  readonly flags: (facts: InstallFacts) => readonly string[];
  /** They depend on what is known of the install. */
  readonly needsFacts?: true;
  readonly run: (stage: Stage) => Promise<ExerciseOutcome>;
}

/** Longest wait for a worker that is to take the place of another one. */
const REPLACED_MS = 15_000;

/** Silence of a worker that ends it, in the drill. */
const HANG_FLAGS = ["--hang-timeout", "1s"] as const;

type ExerciseBody = Omit<Exercise, "name">;

/** An exercise on a server as it is. */
function onPlainServer(run: Exercise["run"]): ExerciseBody {
  return { mayRefuse: false, flags: () => HANG_FLAGS, run };
}

const BODIES: Readonly<Record<ExerciseName, ExerciseBody>> = {
  nothing: onPlainServer(doNothing),
  "kill a worker": onPlainServer((stage) => loseWorker(stage, "SIGKILL")),
  "freeze a loop": onPlainServer((stage) => loseWorker(stage, "SIGSTOP")),
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

/** The drill, in its order. */
export const EXERCISES: readonly Exercise[] = EXERCISE_NAMES.map((name) => ({
  name,
  ...BODIES[name],
}));

/** How much a worker may grow before it is too large: what a leak of 1 MiB a request fills within seconds. */
const HEADROOM_BYTES = 64 * 1024 ** 2;
const UNKNOWN_BYTES = 128 * 1024 ** 2;

/** Resident set of a process; `null` where the system does not tell. */
export async function residentBytesOf(pid: number): Promise<number | null> {
  const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  return kibibytes === undefined ? null : Number(kibibytes) * 1024;
}

/** What all others are compared with. */
async function doNothing({ seconds, signal }: Stage): Promise<ExerciseOutcome> {
  await delay(seconds * 1000, null, { signal });
  return { note: "as it is", breaches: [] };
}

async function loseWorker(
  { server, pool }: Stage,
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

async function breakDeploy({ server, folder }: Stage): Promise<ExerciseOutcome> {
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

async function reloadOften({ server, folder, brief }: Stage): Promise<ExerciseOutcome> {
  const times = brief ? 5 : 20;
  const breaches: string[] = [];
  for (let time = 0; time < times; time++) {
    await folder.changeHandlers();
    const answer = await server.reload();
    if (answer.kind !== "done") breaches.push(`reload ${time + 1}: ${answer.message}`);
  }
  return { note: `${times} times, each with new workers`, breaches };
}

async function swapCertificate({ server, folder }: Stage): Promise<ExerciseOutcome> {
  const before = await readFingerprint(server.ports.https);
  await folder.renewCertificate();
  const answer = await server.reload();
  const after = await readFingerprint(server.ports.https);
  const breaches: string[] = [];
  if (answer.kind !== "done") breaches.push(`refused: ${answer.message}`);
  if (before === after) breaches.push("new connections see the old certificate");
  return { note: "new connections see the new one", breaches };
}

async function fillQueue(stage: Stage): Promise<ExerciseOutcome> {
  const { server, seconds, signal } = stage;
  const skipped = await skipUnlessAnswered(stage, SLOW_PATH);
  if (skipped !== null) return skipped;
  const { length: workers } = await server.readyWorkers("default");
  // Twice what all workers can do at four at a time.
  const perSecond = (2 * workers * 4 * 1000) / SLOW_MS;
  const statuses = await sendMany(server.ports.http, SLOW_PATH, { perSecond, seconds, signal });
  const served = statuses.filter((status) => status === 200).length;
  const refused = statuses.filter((status) => status === 503).length;
  const breaches: string[] = [];
  if (served === 0) breaches.push("nothing was answered under overload");
  if (refused === 0) breaches.push("nothing was refused: the queue has no bound");
  const others = statuses.length - served - refused;
  if (others > 0) breaches.push(`${others} got neither an answer nor a refusal`);
  // What comes after it is answered again.
  if ((await statusOf(server.ports.http, SLOW_PATH)) !== 200) {
    breaches.push("requests are refused when the overload is over");
  }
  return { note: `of twice the load ${served} served, ${refused} refused`, breaches };
}

async function shrinkMemory(stage: Stage): Promise<ExerciseOutcome> {
  const { server, signal } = stage;
  const skipped = await skipUnlessAnswered(stage, LEAK_PATH);
  if (skipped !== null) return skipped;
  const workers = await server.readyWorkers("default");
  const gone = workers.map(({ pid }) => pid);
  const recycled = new AbortController();
  const leaking = sendMany(server.ports.http, LEAK_PATH, {
    perSecond: 25 * workers.length,
    seconds: REPLACED_MS / 1000,
    signal: AbortSignal.any([signal, recycled.signal]),
  });
  const replaced = await server.untilReplaced(gone, {
    pool: "default",
    count: workers.length,
    timeoutMs: REPLACED_MS,
  });
  recycled.abort();
  const statuses = await leaking;
  const failed = statuses.filter((status) => status !== 200).length;
  const breaches: string[] = [];
  if (!replaced) breaches.push("a worker that leaks was not replaced");
  if (failed > 0) breaches.push(`${failed} requests to the handler that leaks failed`);
  return { note: "a worker that leaks was replaced", breaches };
}

/** A middleware of the operator may answer before the drill's own handler does. */
async function skipUnlessAnswered(
  { server }: Stage,
  path: string,
): Promise<ExerciseOutcome | null> {
  const status = await statusOf(server.ports.http, path);
  if (status === 200) return null;
  return {
    note: `skipped: ${path}, a handler of the drill, is answered ${status}`,
    breaches: [],
    skipped: true,
  };
}

interface SendingOptions {
  readonly perSecond: number;
  readonly seconds: number;
  /** Sends no more, and waits for the last answers. */
  readonly signal: AbortSignal;
}

/** Sends GETs at a steady rate. Resolves with all statuses, 0 for none, when the last one is there. */
async function sendMany(
  port: number,
  path: string,
  { perSecond, seconds, signal }: SendingOptions,
): Promise<number[]> {
  const asking: Promise<number>[] = [];
  const startMs = performance.now();
  for (;;) {
    const elapsedMs = Math.min(performance.now() - startMs, seconds * 1000);
    while (asking.length < (elapsedMs * perSecond) / 1000) asking.push(statusOf(port, path));
    if (signal.aborted || elapsedMs >= seconds * 1000) return Promise.all(asking);
    await delay(5);
  }
}

const ANSWER_TIMEOUT_MS = 15_000;

/** What a GET is answered with on a new connection; 0 when there is no answer. */
export function statusOf(port: number, path: string): Promise<number> {
  return new Promise((resolve) => {
    const asking = requestPlain(
      {
        host: "127.0.0.1",
        port,
        path,
        agent: false,
        headers: { host: `localhost:${port}` },
        signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
      },
      (response) => {
        response.resume();
        response.once("error", () => resolve(0));
        response.once("end", () => resolve(response.statusCode ?? 0));
      },
    );
    asking.on("error", () => resolve(0));
    asking.end();
  });
}

/** Which certificate a new connection is shown; empty when there is none. */
function readFingerprint(port: number): Promise<string> {
  return new Promise((resolve) => {
    const asking = request({
      host: "127.0.0.1",
      port,
      servername: "localhost",
      rejectUnauthorized: false,
      agent: false,
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
    asking.once("socket", (socket) => {
      socket.once("secureConnect", () => {
        const shown = socket instanceof TLSSocket ? socket.getPeerCertificate().fingerprint256 : "";
        resolve(shown);
        asking.destroy();
      });
    });
    // It is ended above, before the answer.
    asking.on("error", () => resolve(""));
    asking.end();
  });
}

import { readFile } from "node:fs/promises";
import { request } from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import { request as requestPlain } from "node:http";
import { type DrillFolder, LEAK_PATH, SLOW_MS, SLOW_PATH } from "./drill-folder.ts";
import type { DrillServer } from "./drill-server.ts";
import { EXERCISE_NAMES, type ExerciseName } from "./exercise-names.ts";

/** The means of an exercise. */
export interface Stage {
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
  /** Memory of a worker that has served a little; `null` if the system does not tell. */
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
  readonly run: (stage: Stage) => Promise<ExerciseOutcome>;
}

/** Longest wait for the replacement of a worker. */
const REPLACED_MS = 15_000;

/** In the drill, a worker ends after this silence. */
const HANG_FLAGS = ["--hang-timeout", "1s"] as const;

type ExerciseBody = Omit<Exercise, "name">;

/** An exercise on a server without special settings. */
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
  // Twice the capacity of all workers, with four requests at a time each.
  const perSecond = (2 * workers * 4 * 1000) / SLOW_MS;
  const statuses = await sendMany(server.ports.http, SLOW_PATH, { perSecond, seconds, signal });
  const served = statuses.filter((status) => status === 200).length;
  const refused = statuses.filter((status) => status === 503).length;
  const breaches: string[] = [];
  if (served === 0) breaches.push("nothing was answered under overload");
  if (refused === 0) breaches.push("nothing was refused: the queue has no bound");
  const others = statuses.length - served - refused;
  if (others > 0) breaches.push(`${others} got neither an answer nor a refusal`);
  // After the overload, requests are answered again.
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

/** Skips the exercise when the operator's middleware answers before the drill's own handler. */
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
  /** Stops sending, and waits for the last answers. */
  readonly signal: AbortSignal;
}

/** Sends GETs at a steady rate. Resolves with all statuses after the last answer; 0 stands for no answer. */
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

/** Returns the status of a GET on a new connection; 0 when there is no answer. */
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

/** Returns the fingerprint of the certificate that a new connection gets; empty when there is none. */
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
    // The request was destroyed above, before the answer.
    asking.on("error", () => resolve(""));
    asking.end();
  });
}

import { setTimeout as delay } from "node:timers/promises";
import { summarize } from "../../runtime/drill/latencies.ts";
import { HttpClient } from "../../test/helpers/http-client.ts";
import { Load } from "../../test/helpers/load.ts";
import { type Files, startServer, type TestServer } from "../../test/helpers/start-server.ts";
import type { Owner } from "../../test/helpers/temporary-folder.ts";
import { judgeEcho } from "./judge-echo.ts";
import { pythonFlags, type Language } from "./language.ts";

/** Connections of the load beside kills, and beside requests that crash workers. */
const CONNECTIONS = 32;
const POISON_CONNECTIONS = 8;

const HANDLERS: Files = {
  "echo.ts": `export default async (request) => {
    const id = new URL(request.url).searchParams.get("id");
    const body = await request.text();
    await new Promise((resolve) => setTimeout(resolve, 1 + Math.random() * 5));
    return new Response(id + ";" + body);
  };`,
  "poison.ts": `export default (request) => {
    switch (new URL(request.url).searchParams.get("how")) {
      case "exit": return process.exit(3);
      case "abort": return process.abort();
      case "throw": setTimeout(() => { throw new Error("poison"); }); return new Promise(() => {});
      case "bomb": for (const all = []; ; ) all.push(new Array(1e5).fill(all.length));
      case "loop": for (;;);
    }
    return new Response("harmless");
  };`,
};

/** The results of a load that lost workers. */
export interface LossReport {
  requests: number;
  /** How many workers were lost. */
  workers: number;
  /** Status or error of each request without a right answer. */
  failed: string[];
  /** Answers that belong to other requests. There must be none. */
  wrong: string[];
  /** How many exchanges were lost and replayed, according to the server. */
  lost: number;
  replayed: number;
  slowestMs: number;
}

export interface KillOptions {
  language: Language;
  method: "GET" | "POST";
  killEveryMs: number;
  /** Whether to stop after so many kills and requests. */
  isEnough: (kills: number, requests: number) => boolean;
  /** The time between two requests of a connection. Default: none. */
  pauseMs?: number;
}

/** Kills random workers, as `kill -9` does, under a load of one method. */
export async function killUnderLoad(owner: Owner, options: KillOptions): Promise<LossReport> {
  const { language, method, killEveryMs, isEnough, pauseMs } = options;
  const server = await start(owner, { language });
  const load = startEchoes(owner, server, { method, connections: CONNECTIONS, pauseMs });
  for (let kills = 0; !isEnough(kills, load.results.length);) {
    await delay(killEveryMs);
    if (killOne([...server.workers.values()])) kills++;
  }
  return report(server, load);
}

/** The results of requests that crash workers. */
export interface PoisonReport extends LossReport {
  /** Statuses of the requests that crash workers. */
  poison: number[];
  /** How many quarantines there were. */
  quarantined: number;
}

/**
 * Sends requests that crash workers, beside a load of harmless GETs.
 *
 * @param options `paths`: requested one after another; `pauseMs`: the time between two harmless requests of a connection.
 */
export async function poisonUnderLoad(
  owner: Owner,
  options: { paths: readonly string[]; pauseMs?: number } & StartedAs,
): Promise<PoisonReport> {
  const { pauseMs, flags = [] } = options;
  const server = await start(owner, { ...options, flags: ["--hang-timeout", "2s", ...flags] });
  const harmless = { method: "GET" as const, connections: POISON_CONNECTIONS, pauseMs };
  const load = startEchoes(owner, server, harmless);
  const client = new HttpClient(owner, server.http, { connections: 1 });
  const poison: number[] = [];
  for (const path of options.paths) poison.push((await client.request(path)).status);
  const losses = await report(server, load);
  const quarantined = server.logs.filter(({ code }) => code === "ERR_QUARANTINED").length;
  return { ...losses, poison, quarantined };
}

/** The code that a server runs, and its further settings. */
interface StartedAs {
  readonly language: Language;
  readonly flags?: readonly string[];
  readonly env?: Record<string, string>;
}

function start(owner: Owner, { language, flags = [], env = {} }: StartedAs): Promise<TestServer> {
  // On a slow machine, limits of the queue would refuse requests beside a blocked worker.
  const queue = ["--queue-delay", "0s", "--queue-timeout", "60s"];
  const all = ["--access-log", "off", ...queue, ...flags];
  return language === "python"
    ? startServer(owner, { handlers: {}, workers: 2, flags: [...all, ...pythonFlags()], env })
    : startServer(owner, { handlers: HANDLERS, workers: 2, flags: all, env });
}

/** The end of one request. */
interface Sample {
  readonly ms: number;
  /** Status or error of a failed request. */
  readonly failed: string | null;
  /** An answer that belongs to another request. */
  readonly wrong: string | null;
}

/** Sends requests that each expect an answer of their own, side by side, until the load is stopped. */
function startEchoes(
  owner: Owner,
  server: TestServer,
  options: { method: "GET" | "POST"; connections: number; pauseMs?: number | undefined },
): Load<Sample> {
  const { method, connections, pauseMs } = options;
  const client = new HttpClient(owner, server.http, { connections });
  const send = async (number: number): Promise<Sample> => {
    const id = `r${number}`;
    const body = method === "GET" ? "" : id.repeat(50);
    const startMs = performance.now();
    const end = await client
      .request(`/echo?id=${id}`, body === "" ? { method } : { method, body })
      .then(
        (response) => judgeEcho(response, `${id};${body}`),
        (error: unknown) => ({ failed: String(error), wrong: null }),
      );
    return { ms: performance.now() - startMs, ...end };
  };
  return new Load(owner, connections, send, { pauseMs });
}

/** Stops the load and the server, and counts. */
async function report(server: TestServer, load: Load<Sample>): Promise<LossReport> {
  const samples = await load.stop();
  // A request is answered when its worker is lost. Only a running server reports the exit, which may come later.
  await server.until(() => lostWorkers(server).every((id) => exitsOf(server).has(id)));
  // The log is complete after the end.
  await server.stop();
  const { logs } = server;
  return {
    requests: samples.length,
    workers: exitsOf(server).size,
    failed: samples.flatMap(({ failed }) => failed ?? []),
    wrong: samples.flatMap(({ wrong }) => wrong ?? []),
    lost: sum(logs.map((line) => (line.msg === "exchanges lost" ? line["exchanges"] : 0))),
    replayed: sum(logs.map((line) => line["replayed"])),
    slowestMs: Math.round(summarize(samples.map(({ ms }) => ms)).maxMs),
  };
}

/** Returns the numbers of the workers that took exchanges with them. */
function lostWorkers({ logs }: TestServer): unknown[] {
  return logs
    .filter(({ msg }) => msg === "exchanges lost" || msg === "exchanges go to another worker")
    .map((line) => line["workerId"]);
}

/** Returns the numbers of the workers whose exit the log has. */
function exitsOf({ logs }: TestServer): Set<unknown> {
  const exits = logs.filter(({ msg }) => msg?.startsWith("worker exited") === true);
  return new Set(exits.map((line) => line["workerId"]));
}

/** Returns whether there was a worker to kill. */
function killOne(pids: readonly number[]): boolean {
  const pid = pids[Math.floor(Math.random() * pids.length)];
  if (pid === undefined) return false;
  try {
    return process.kill(pid, "SIGKILL");
  } catch {
    // The worker has already gone, and its log line is on its way.
    return false;
  }
}

function sum(values: readonly unknown[]): number {
  return values.reduce<number>((total, value) => total + (Number(value) || 0), 0);
}

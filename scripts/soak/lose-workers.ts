import { HttpClient } from "../../test/helpers/http-client.ts";
import { type Files, startServer, type TestServer } from "../../test/helpers/start-server.ts";
import type { Owner } from "../../test/helpers/temporary-folder.ts";

const CONNECTIONS = 32;

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
  /** Requests without a right answer, counted by status or error. */
  failed: Record<string, number>;
  /** Answers that belong to other requests. There must be none. */
  wrong: string[];
  /** How many exchanges were lost and replayed, according to the server. */
  lost: number;
  replayed: number;
  slowestMs: number;
}

/** Kills random workers, as `kill -9` does, under a load of one method. */
export async function killUnderLoad(
  owner: Owner,
  options: { method: "GET" | "POST"; seconds: number; killEveryMs: number },
): Promise<LossReport> {
  const server = await start(owner);
  const load = new EchoLoad(owner, server, options.method);
  const untilMs = performance.now() + options.seconds * 1_000;
  while (performance.now() < untilMs) {
    await pause(options.killEveryMs);
    killOne([...server.workers.values()]);
  }
  return load.stop();
}

/** The results of requests that crash workers. */
export interface PoisonReport extends LossReport {
  /** Number of requests by status. */
  poison: Record<string, number>;
  /** How many quarantines there were. */
  quarantined: number;
}

/**
 * Sends requests that crash workers, beside a load of harmless GETs.
 *
 * @param options `paths`: requested one after another.
 */
export async function poisonUnderLoad(
  owner: Owner,
  options: { paths: readonly string[]; flags?: readonly string[]; env?: Record<string, string> },
): Promise<PoisonReport> {
  const server = await start(owner, options);
  const load = new EchoLoad(owner, server, "GET");
  const client = new HttpClient(owner, server.http, { connections: 1 });
  const poison: Record<string, number> = {};
  for (const path of options.paths) {
    const { status } = await client.request(path);
    poison[status] = (poison[status] ?? 0) + 1;
  }
  const report = await load.stop();
  const quarantined = server.logs.filter(({ code }) => code === "ERR_QUARANTINED").length;
  return { ...report, poison, quarantined };
}

function start(
  owner: Owner,
  options: { flags?: readonly string[]; env?: Record<string, string> } = {},
): Promise<TestServer> {
  const flags = ["--access-log", "off", "--hang-timeout", "1s", ...(options.flags ?? [])];
  return startServer(owner, { handlers: HANDLERS, flags, env: options.env ?? {} });
}

/** Sends requests that each expect an answer of their own, side by side, until it is stopped. */
class EchoLoad {
  readonly #server: TestServer;
  readonly #loops: Promise<unknown>;
  readonly #failed: Record<string, number> = {};
  readonly #wrong: string[] = [];
  #requests = 0;
  #slowestMs = 0;
  #stopped = false;

  constructor(owner: Owner, server: TestServer, method: "GET" | "POST") {
    this.#server = server;
    const client = new HttpClient(owner, server.http, { connections: CONNECTIONS });
    const loops = Array.from({ length: CONNECTIONS }, () => this.#loop(client, method));
    this.#loops = Promise.all(loops);
  }

  async stop(): Promise<LossReport> {
    this.#stopped = true;
    await this.#loops;
    // The log is complete after the end.
    await this.#server.stop();
    const { logs } = this.#server;
    return {
      requests: this.#requests,
      workers: logs.filter(({ msg }) => msg?.startsWith("worker exited") === true).length,
      failed: this.#failed,
      wrong: this.#wrong,
      lost: sum(logs.map((line) => (line.msg === "exchanges lost" ? line["exchanges"] : 0))),
      replayed: sum(logs.map((line) => line["replayed"])),
      slowestMs: Math.round(this.#slowestMs),
    };
  }

  async #loop(client: HttpClient, method: "GET" | "POST"): Promise<void> {
    while (!this.#stopped) {
      const id = `r${this.#requests++}`;
      const body = method === "GET" ? "" : id.repeat(50);
      const startedMs = performance.now();
      try {
        const options = body === "" ? { method } : { method, body };
        const response = await client.request(`/echo?id=${id}`, options);
        const text = String(response.body);
        if (response.status !== 200) this.#fail(String(response.status));
        else if (text !== `${id};${body}`) this.#wrong.push(`${id}: ${text.slice(0, 100)}`);
      } catch (error) {
        this.#fail(String(error));
      }
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - startedMs);
    }
  }

  #fail(how: string): void {
    this.#failed[how] = (this.#failed[how] ?? 0) + 1;
  }
}

function killOne(pids: readonly number[]): void {
  const pid = pids[Math.floor(Math.random() * pids.length)];
  if (pid === undefined) return;
  try {
    process.kill(pid, "SIGKILL");
  } catch {
    // The worker has already gone, and its log line is on its way.
  }
}

function sum(values: readonly unknown[]): number {
  return values.reduce<number>((total, value) => total + (Number(value) || 0), 0);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

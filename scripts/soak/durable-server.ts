import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { QueueInfo, Status } from "../../runtime/control/operations.ts";
import { askServer } from "../../test/helpers/ask-server.ts";
import { HttpClient } from "../../test/helpers/http-client.ts";
import { RedisServer } from "../../test/helpers/redis-server.ts";
import { startServer, type TestServer } from "../../test/helpers/start-server.ts";
import { type Owner, temporaryFolder } from "../../test/helpers/temporary-folder.ts";
import { judgeJournal, parseJournal, type JournalReport } from "./queue-journal.ts";
import type { Random } from "./random.ts";

/** A day: longer than any soak. */
const FAR_SECONDS = 86_400;

/** Longest time until all messages have run: leases of a lost server last 15 s. */
const EMPTY_MS = 240_000;

/** Longest wait for a worker that is ready. */
const READY_MS = 120_000;

/** Connections of the load, and those for reads and for messages that mark a count. */
const CONNECTIONS = 20;

const STORE = `
export async function POST(request, { env }) {
  const { send, options, put, number, read } = await request.json();
  if (send !== undefined) await env.JOBS.send(send, options);
  if (put !== undefined) await env.VALUES.put(put, String(number));
  return Response.json(await Promise.all((read ?? []).map((key) => env.VALUES.get(key))));
}
`;

/** Writes to the journal in its first line, and after its work. */
const JOBS = `
import { appendFileSync } from "node:fs";
export const config = { queue: { name: "jobs", retries: 100, backoff: 0 } };
export async function queue(batch) {
  const write = (kind) =>
    appendFileSync("journal", batch.messages.map(({ body }) => kind + " " + body + " .\\n").join(""));
  write("begin");
  await new Promise((resolve) => setTimeout(resolve, Math.random() * 30));
  write("end");
}
`;

export interface DurableServerOptions {
  owner: Owner;
  /** Whether queue and keys are in Redis. */
  isRedis: boolean;
}

/** A server with a queue and keys, which is killed and started again in the same folder. */
export class DurableServer {
  readonly redis: RedisServer | null;
  readonly #owner: Owner;
  readonly #dir: string;
  #server: TestServer | null = null;
  #client: HttpClient | null = null;
  /** Requests wait for it: for the start after a kill. */
  #up: Promise<void> = Promise.resolve();
  /** Messages that are not due, and were sent to mark a count. */
  #marks = 0;

  private constructor(owner: Owner, dir: string, redis: RedisServer | null) {
    this.#owner = owner;
    this.#dir = dir;
    this.redis = redis;
  }

  static async start({ owner, isRedis }: DurableServerOptions): Promise<DurableServer> {
    let all: DurableServer | null = null;
    // Callbacks run in this order: the folder goes last.
    owner.after(() => all?.stop());
    const redis = isRedis ? await RedisServer.start(owner) : null;
    const dir = temporaryFolder(owner);
    const store = redis === null ? {} : { store: "shared" };
    const config = {
      bindings: { JOBS: { queue: "jobs", ...store }, VALUES: { kv: "values", ...store } },
      ...(redis !== null && {
        stores: { shared: { redis: `unix:${redis.socket}`, timeout: "2s" } },
      }),
    };
    writeFileSync(join(dir, "edgicorn.config.mjs"), `export default ${JSON.stringify(config)}`);
    writeFileSync(join(dir, "journal"), "");
    mkdirSync(join(dir, "handlers"));
    writeFileSync(join(dir, "handlers/store.ts"), STORE);
    writeFileSync(join(dir, "handlers/jobs.ts"), JOBS);
    all = new DurableServer(owner, dir, redis);
    await all.#start();
    return all;
  }

  /** Starts the server. */
  async #start(): Promise<void> {
    const server = await startServer(this.#owner, {
      handlers: join(this.#dir, "handlers"),
      cwd: this.#dir,
      workers: 2,
      // On a slow machine, a worker that waits for a processor must not look blocked.
      flags: ["--access-log", "off", "--hang-timeout", "60s"],
    });
    this.#server = server;
    this.#client = new HttpClient(this.#owner, server.http, { connections: CONNECTIONS });
  }

  /** Stops the server in order. */
  async stop(): Promise<void> {
    await this.#server?.stop();
  }

  /** Asks the handler. Resolves with its answer, or with `null`: the request failed, and may have had an effect. */
  async ask(order: object): Promise<unknown> {
    await this.#up;
    const client = this.#client;
    if (client === null) return null;
    const init = { method: "POST", body: JSON.stringify(order) };
    try {
      const { status, body } = await client.request("/store", init);
      return status === 200 ? JSON.parse(String(body)) : null;
    } catch {
      return null;
    }
  }

  /** Kills a random worker that is ready, as `kill -9` does, and waits until the primary has seen it. */
  async killWorker(random: Random): Promise<void> {
    const server = this.#running;
    const deadlineMs = performance.now() + READY_MS;
    while (server.workers.size === 0) {
      if (performance.now() > deadlineMs) throw new Error("no worker is ready");
      await delay(20);
    }
    const pids = [...server.workers.values()];
    const pid = pids[random(pids.length)] ?? 0;
    await this.#noteKill(async () => {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // The worker has already gone, and its log line is on its way.
      }
      // The line tells that the primary has seen the end of its worker.
      await server.until(
        ({ msg, workerPid }) => msg?.startsWith("worker exited") === true && workerPid === pid,
      );
    });
  }

  /**
   * Kills the primary, as `kill -9` does, and starts the server again.
   *
   * @param all Whether the workers are killed with it; otherwise they end because they lost their primary.
   */
  async killPrimary(all: boolean): Promise<void> {
    const server = this.#running;
    const restart = this.#noteKill(async () => {
      // The server is the leader of a process group.
      process.kill(all ? -server.pid : server.pid, "SIGKILL");
      await server.exit;
    }).then(() => this.#start());
    this.#up = restart.catch(() => {});
    await restart;
  }

  /** Kills Redis, as `kill -9` does, and starts it again after some time. */
  async killRedis(awayMs: number): Promise<void> {
    const { redis } = this;
    if (redis === null) return;
    await this.#noteKill(() => redis.kill());
    await delay(awayMs);
    await redis.start();
  }

  /**
   * Waits until the store has counted no message. Call while no message is sent, and no process is killed. Counts are some seconds old:
   * a message that is due in a day, and was sent before, shows that a count is new.
   *
   * @throws Error when messages are left for too long.
   */
  async untilEmpty(): Promise<void> {
    const isSent = await this.ask({ send: "mark", options: { delaySeconds: FAR_SECONDS } });
    if (isSent === null) throw new Error("a message was refused although nothing was killed");
    this.#marks++;
    const deadlineMs = performance.now() + EMPTY_MS;
    for (;;) {
      const { waiting, delayed, inWork, batches } = await this.#readQueue();
      if (delayed === this.#marks && waiting + inWork + batches === 0) break;
      if (performance.now() > deadlineMs) {
        const found = JSON.stringify({ waiting, delayed, inWork, batches });
        throw new Error(`the queue has ${found}, expected ${this.#marks} delayed messages only`);
      }
      await delay(100);
    }
    this.#note("empty");
  }

  /** Reads the values of keys. @throws Error when the server does not answer. */
  async read(keys: readonly string[]): Promise<(string | null)[]> {
    const values = await this.ask({ read: keys });
    if (values === null) throw new Error("keys cannot be read although nothing was killed");
    return values as (string | null)[]; // The handler above.
  }

  /** Judges all runs so far. */
  judge(): JournalReport {
    return judgeJournal(parseJournal(readFileSync(join(this.#dir, "journal"), "utf8")));
  }

  get #running(): TestServer {
    if (this.#server === null) throw new Error("the server was not started");
    return this.#server;
  }

  async #readQueue(): Promise<QueueInfo> {
    const { stdout, stderr } = await askServer(["status", "--json"], this.#dir);
    if (stdout === "") throw new Error(`no status: ${stderr}`);
    const { queues = [] } = JSON.parse(stdout) as Status; // A server of this version.
    const info = queues.find(({ queue }) => queue === "jobs");
    if (info === undefined) throw new Error("the status has no queue");
    return info;
  }

  async #noteKill(kill: () => Promise<void>): Promise<void> {
    this.#note("kill");
    await kill();
    this.#note("killed");
  }

  #note(kind: "kill" | "killed" | "empty"): void {
    // The handler appends to the same file.
    appendFileSync(join(this.#dir, "journal"), `${kind}\n`);
  }
}

import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { buildSync } from "esbuild";
import pino from "pino";
import {
  type ExchangeId,
  type ExchangeMessage,
  Kind,
  type WorkerId,
} from "../../runtime/channel/messages.ts";
import { prepareForks } from "../../runtime/supervise/fork-worker.ts";
import { OomKills } from "../../runtime/supervise/oom-kills.ts";
import { Pool, type PoolOptions } from "../../runtime/supervise/pool.ts";
import type { WorkerProcess } from "../../runtime/supervise/worker-process.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

export interface LogLine {
  msg: string;
  workerId?: number;
  exchanges?: number;
  restartInMs?: number;
  oomKilled?: boolean;
  rssBytes?: number | null;
  code?: string | number | null;
  err?: { message: string; stack: string };
}

/** A pool of workers without handlers. Records its events. */
export class Trial {
  readonly pool: Pool;
  readonly logs: LogLine[] = [];
  readonly messages: ExchangeMessage[] = [];
  /** Calls of the pool, in order. */
  readonly events: string[] = [];
  /** How many requests each worker has had, as the pool is told. */
  readonly requests = new Map<WorkerId, number>();
  onMessage: (message: ExchangeMessage) => void = () => {};
  readonly #planFile: string;
  #wake: () => void = () => {};

  constructor(
    t: TestContext,
    options: Partial<PoolOptions> & { plan?: string; hangTimeoutMs?: number } = {},
  ) {
    const dir = temporaryFolder(t);
    prepareCompiledForks(t, dir);
    this.#planFile = join(dir, "plan");
    this.plan(options.plan ?? "");
    let lastId = 0;
    const note = (event: string): void => {
      this.events.push(event);
      this.#wake();
    };
    this.pool = new Pool({
      log: pino(
        { level: "debug" },
        {
          write: (line) => {
            this.logs.push(JSON.parse(line) as LogLine);
            this.#wake();
          },
        },
      ),
      workers: 1,
      maxWorkers: 1,
      recycle: NO_RECYCLING,
      settings: {
        generationDir: this.#planFile,
        pool: "default",
        mode: "production",
        bootTimeoutMs: 30_000,
        requestIdPrefix: "t-",
        trustsRequestIds: false,
        bodyBufferBytes: 1024,
        responseCreditBytes: 1024,
        compression: null,
        logLevel: "info",
        logFormat: "json",
        logFile: null,
        measures: "none",
        traces: false,
        redactQuery: [],
        bindings: null,
        app: null,
      },
      variables: {},
      nextWorkerId: () => ++lastId as WorkerId,
      oomKills: new OomKills(() => 0),
      bootTimeoutMs: 30_000,
      retireGraceMs: 30_000,
      loadOf: ({ id }) => ({ requests: this.requests.get(id) ?? 0, inFlight: 0 }),
      queueAgeMs: () => 0,
      onPurge: () => assert.fail("no handler purges here"),
      onFailed: () => assert.fail("no handler fails here"),
      onCall: () => assert.fail("no handler calls another one here"),
      onCache: () => assert.fail("no handler uses caches here"),
      onSocketActs: () => assert.fail("no handler has WebSockets here"),
      onReady: (worker) => {
        const { id } = worker;
        worker.onExchange = (message) => {
          this.onMessage(message);
          note(`message ${id}`);
        };
        note(`ready ${id}`);
      },
      onRetire: ({ id }) => note(`retire ${id}`),
      onNotice: ({ id }) => note(`notice ${id}`),
      onUnreachable: () => {},
      onLost: ({ id }, _error, cause) => note(`lost ${id}, ${cause}`),
      onDown: (isDown) => note(isDown ? "down" : "up"),
      heartbeat: {
        hangTimeoutMs: options.hangTimeoutMs ?? 0,
        blockWarnMs: 0,
        onBlocked: () => {},
        onStalled: ({ id }) => note(`stalled ${id}`),
        onRecovered: ({ id }) => note(`recovered ${id}`),
        describe: () => ({ exchanges: 7 }),
      },
      ...options,
    });
    t.after(() => this.pool.destroy());
  }

  get worker(): WorkerProcess {
    const [worker] = this.pool.workers;
    assert.ok(worker !== undefined, "no worker");
    return worker;
  }

  /** Sets the plan of workers that are forked from now on. */
  plan(text: string): void {
    writeFileSync(this.#planFile, text);
  }

  /** Waits for an event. */
  async until(event: string): Promise<void> {
    while (!this.events.includes(event)) await this.#change();
  }

  async untilLog(predicate: (line: LogLine) => boolean): Promise<LogLine> {
    for (;;) {
      const line = this.logs.find(predicate);
      if (line !== undefined) return line;
      await this.#change();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }
}

/** Compiles the fake worker: a fork that loads tsx and sources takes five times the processor time of a boot. */
function prepareCompiledForks(t: TestContext, dir: string): void {
  const outfile = join(dir, "fake-worker.cjs");
  buildSync({
    entryPoints: [join(import.meta.dirname, "fake-worker.ts")],
    outfile,
    bundle: true,
    platform: "node",
    format: "cjs",
  });
  // Workers get the options of this process, which loads tsx.
  const { execArgv } = process;
  t.after(() => {
    process.execArgv = execArgv;
  });
  process.execArgv = [];
  prepareForks(outfile);
}

/** Sends a request. @param how `mib`: memory that the worker takes first; `blocks`: it then blocks its event loop. */
export function request(worker: WorkerProcess, how: { mib?: number; blocks?: boolean } = {}): void {
  const id = 1 as ExchangeId;
  const url = `http://a/${how.mib ?? 0}`;
  const method = how.blocks === true ? "BLOCK" : "GET";
  worker.channel.send([Kind.request, id, 0, null, method, url, "", "::1", 0, null]);
}

export const MIB = 1024 ** 2;
export const NO_RECYCLING = {
  requests: 0,
  requestsJitter: 0,
  ageMs: 0,
  idleMs: 0,
  memoryBytes: 0,
  heapBytes: 0,
};
// The only one that makes ids here starts with it.
export const FIRST = 1 as WorkerId;

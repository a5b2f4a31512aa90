import { join } from "node:path";
import type {
  ExchangeMessage,
  RouteLimits,
  RouteReport,
  WorkerId,
  WorkerSettings,
} from "./channel/messages.ts";
import type { Config } from "./config.ts";
import type { ClientSide } from "./dispatch/client-side.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import type { Lane } from "./dispatch/lane.ts";
import type { RuntimeError } from "./errors.ts";
import type { Manifest } from "./generation/manifest.ts";
import type { Logger } from "./log.ts";
import { createMatcher, type Matcher } from "./route/match.ts";
import type { ParsedTarget } from "./route/target-path.ts";
import type { TurnClock } from "./turn-clock.ts";
import { Pool } from "./supervise/pool.ts";

/** Longest that an exchange waits for a worker before its client is told to come back. */
const QUEUE_TIMEOUT_MS = 10_000;

/** Most exchanges that wait: with these waiting a new one would not be answered in time anyway. */
const QUEUE_LIMIT = 10_000;

/** Most exchanges that one worker has at a time. */
const WORKER_CONCURRENCY = 1_000;

export interface LiveGenerationOptions {
  config: Config;
  log: Logger;
  manifest: Manifest;
  clock: TurnClock;
  requestIdPrefix: string;
  nextWorkerId: () => WorkerId;
}

/**
 * A generation that serves: its routes, its workers, and the exchanges that are in their hands.
 *
 * Route numbers mean something within one generation only, so each has a dispatcher and a queue of its own.
 */
export class LiveGeneration {
  readonly manifest: Manifest;
  readonly #log: Logger;
  readonly #config: Config;
  readonly #match: Matcher;
  readonly #dispatcher: Dispatcher;
  readonly #pool: Pool;
  readonly #lanes = new Map<WorkerId, Lane>();
  #reports: readonly RouteReport[] = [];

  private constructor(options: LiveGenerationOptions) {
    const { config, log, manifest } = options;
    this.manifest = manifest;
    this.#log = log;
    this.#config = config;
    this.#match = createMatcher(manifest);
    this.#dispatcher = new Dispatcher({
      log,
      clock: options.clock,
      workerConcurrency: WORKER_CONCURRENCY,
      queueLimit: QUEUE_LIMIT,
      queueTimeoutMs: QUEUE_TIMEOUT_MS,
      bodyBufferBytes: config.bodyBufferBytes,
      responseCreditBytes: config.responseBufferBytes,
    });
    this.#pool = new Pool({
      log,
      workers: config.workers,
      settings: toSettings(options),
      nextWorkerId: options.nextWorkerId,
      bootTimeoutMs: config.bootTimeoutMs,
      onReady: (worker, report) => {
        if (this.#reports.length === 0) this.#learn(report.routes);
        this.#lanes.set(worker.id, this.#dispatcher.attach(worker.id, worker.channel));
      },
      onMessage: (worker, message) => this.#onMessage(worker.id, message),
      onLost: (worker, error) => this.#onLost(worker.id, error),
    });
  }

  /**
   * Starts its workers and waits until all are ready.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD` or `ERR_BOOT_LOOP` when they cannot boot; nothing is left behind then.
   */
  static async start(options: LiveGenerationOptions): Promise<LiveGeneration> {
    const generation = new LiveGeneration(options);
    try {
      await generation.#pool.start();
    } catch (error) {
      generation.#dispatcher.close("ERR_DRAINING");
      throw error;
    }
    return generation;
  }

  get workerPids(): number[] {
    return this.#pool.workers.map(({ pid }) => pid);
  }

  /** Methods that a route answers; `null`: any. */
  methodsOf(route: number): string[] | null {
    return this.#reports[route]?.methods ?? null;
  }

  /** Takes the request on if a route or a fallback is there for it; false: nobody is. */
  admit(client: ClientSide, target: ParsedTarget): boolean {
    const match = this.#match(target.pathname);
    if (match === null) return false;
    const url = client.head.origin + target.pathname + target.search;
    const { bodyLimitBytes, requestTimeoutMs: timeoutMs } = this.#config;
    if ("route" in match) {
      const { route, params } = match;
      const limits = this.#limitsOf(route, client.head.method);
      this.#dispatcher.admit(client, {
        route,
        params,
        url,
        bodyLimitBytes: limits?.bodyLimitBytes ?? bodyLimitBytes,
        timeoutMs: limits?.timeoutMs ?? timeoutMs,
      });
    } else {
      const route = -1 - match.fallback;
      this.#dispatcher.admit(client, { route, params: null, url, bodyLimitBytes, timeoutMs });
    }
    return true;
  }

  /** Answers all that it has admitted, then ends its workers; what takes longer than the grace fails with 503. */
  async close(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    await settledWithin(this.#dispatcher.idle(), graceMs);
    this.#dispatcher.close("ERR_DRAINING");
    await this.#pool.close(Math.max(0, deadlineMs - performance.now()));
  }

  /** Ends its workers now; what they have in flight fails. */
  async destroy(): Promise<void> {
    this.#dispatcher.close("ERR_DRAINING");
    await this.#pool.destroy();
  }

  #limitsOf(route: number, method: string): RouteLimits | undefined {
    const report = this.#reports[route];
    if (report === undefined) return undefined;
    // A method is any token, also one that all objects have a property of.
    return Object.hasOwn(report.methodLimits, method) ? report.methodLimits[method] : report.limits;
  }

  /** What the first worker loaded, all others of the generation load too. */
  #learn(reports: readonly RouteReport[]): void {
    this.#reports = reports;
    for (const [number, { ignored }] of reports.entries()) {
      if (ignored.length === 0) continue;
      const route = this.manifest.routes[number]?.pattern;
      this.#log.warn({ route, ignored }, "config of a handler that this version does not act on");
    }
  }

  #onMessage(workerId: WorkerId, message: ExchangeMessage): void {
    const lane = this.#lanes.get(workerId);
    if (lane !== undefined) this.#dispatcher.receive(lane, message);
  }

  #onLost(workerId: WorkerId, error: RuntimeError): void {
    const lane = this.#lanes.get(workerId);
    if (lane === undefined) return;
    this.#lanes.delete(workerId);
    const lost = this.#dispatcher.detach(lane, "ERR_WORKER_EXITED");
    if (lost > 0) {
      this.#log.error({ workerId, exchanges: lost, reason: error.message }, "exchanges lost");
    }
  }
}

function toSettings(options: LiveGenerationOptions): Omit<WorkerSettings, "workerId"> {
  const { config, manifest, requestIdPrefix } = options;
  return {
    generationDir: join(config.stateDir, "generations", manifest.id),
    mode: config.mode,
    requestIdPrefix,
    responseCreditBytes: config.responseBufferBytes,
    logLevel: config.logLevel,
    logFormat: config.logFormat,
  };
}

async function settledWithin(promise: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, ms);
  });
  await Promise.race([promise, timeout]);
  clearTimeout(timer);
}

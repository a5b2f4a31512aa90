import type { ExchangeMessage, RouteReport, WorkerId, WorkerSettings } from "./channel/messages.ts";
import type { Config } from "./config.ts";
import { describeHang } from "./describe-hang.ts";
import {
  type BufferedLimits,
  type BufferedReport,
  type Buffering,
  toBuffered,
} from "./dispatch/buffering.ts";
import type { ByteBudget } from "./dispatch/byte-budget.ts";
import type { ClientSide } from "./dispatch/client-side.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import type { Lane } from "./dispatch/lane.ts";
import type { Spool } from "./dispatch/spool.ts";
import type { RuntimeError } from "./errors.ts";
import { toGenerationDir } from "./generation/generation-store.ts";
import { releaseLease } from "./generation/lease.ts";
import type { Manifest } from "./generation/manifest.ts";
import type { Logger } from "./log.ts";
import { createMatcher, type Matcher } from "./route/match.ts";
import type { ParsedTarget } from "./route/target-path.ts";
import { settledWithin } from "./settled-within.ts";
import type { StackFrame } from "./stack-frames.ts";
import type { TurnClock } from "./turn-clock.ts";
import { areWorkersDebugged } from "./supervise/fork-worker.ts";
import { Pool } from "./supervise/pool.ts";

/** Longest that an exchange waits for a worker before its client is told to come back. */
const QUEUE_TIMEOUT_MS = 10_000;

/** How long before the end of the grace handlers are told that it ends. */
const SHUTDOWN_NOTICE_MS = 1_000;

/** Most exchanges that wait: with these waiting a new one would not be answered in time anyway. */
const QUEUE_LIMIT = 10_000;

/** Most exchanges that one worker has at a time. */
const WORKER_CONCURRENCY = 1_000;

export interface LiveGenerationOptions {
  config: Config;
  log: Logger;
  /** Of a generation that was built with a lease for this process; it is released at the end. */
  manifest: Manifest;
  clock: TurnClock;
  bodyBudget: ByteBudget;
  spool: Spool;
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
  readonly #requestIdPrefix: string;
  /** Of fallbacks, and of routes that leave it to the server. */
  readonly #buffering: Buffering;
  #reports: readonly BufferedReport[] = [];

  private constructor(options: LiveGenerationOptions) {
    const { config, log, manifest } = options;
    this.manifest = manifest;
    this.#log = log;
    this.#config = config;
    this.#match = createMatcher(manifest);
    const { bodyBufferBytes, bodyOverflow, responseOverflow } = config;
    this.#buffering = { bodyBufferBytes, bodyOverflow, responseOverflow };
    this.#dispatcher = new Dispatcher({
      log,
      clock: options.clock,
      workerConcurrency: WORKER_CONCURRENCY,
      queueLimit: QUEUE_LIMIT,
      queueTimeoutMs: QUEUE_TIMEOUT_MS,
      bodyBudget: options.bodyBudget,
      spool: options.spool,
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
      onUnreachable: (worker) => this.#withLane(worker.id, (lane) => this.#dispatcher.retire(lane)),
      onLost: (worker, error) => this.#onLost(worker.id, error),
      heartbeat: {
        hangTimeoutMs: areWorkersDebugged() ? 0 : config.hangTimeoutMs,
        onStalled: (worker) => this.#withLane(worker.id, (lane) => this.#dispatcher.stall(lane)),
        onRecovered: (worker) =>
          this.#withLane(worker.id, (lane) => this.#dispatcher.recover(lane)),
        describe: (worker, stack) => this.#describeHang(worker.id, stack),
      },
    });
    this.#requestIdPrefix = options.requestIdPrefix;
  }

  /**
   * Starts its workers and waits until all are ready.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD` or `ERR_BOOT_LOOP` when they cannot boot; the signal's reason. Nothing is left
   *   behind then.
   */
  static async start(
    options: LiveGenerationOptions,
    { signal }: { signal: AbortSignal },
  ): Promise<LiveGeneration> {
    const generation = new LiveGeneration(options);
    const listening = new AbortController();
    try {
      signal.throwIfAborted();
      const aborted = new Promise<never>((_, reject) => {
        const fail = (): void => reject(toError(signal.reason));
        signal.addEventListener("abort", fail, { once: true, signal: listening.signal });
      });
      await Promise.race([generation.#pool.start(), aborted]);
    } catch (error) {
      await generation.destroy();
      throw error;
    } finally {
      listening.abort();
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
        buffering: limits?.buffering ?? this.#buffering,
      });
    } else {
      const route = -1 - match.fallback;
      this.#dispatcher.admit(client, {
        route,
        params: null,
        url,
        bodyLimitBytes,
        timeoutMs,
        buffering: this.#buffering,
      });
    }
    return true;
  }

  /**
   * Answers all that it has admitted, each within its own timeout and streams to their end, and closes then. The grace
   * is for what handlers left to `waitUntil`.
   */
  async retire(graceMs: number): Promise<void> {
    await this.#dispatcher.idle();
    await this.close(graceMs);
  }

  /**
   * Answers all that it has admitted, then ends its workers; what takes longer than the grace fails with 503. While it
   * retires, this bounds what was without bounds.
   */
  async close(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    // What is cut off learns of it by its `request.signal`, and has the rest of the grace to tidy up.
    const noticeMs = Math.min(SHUTDOWN_NOTICE_MS, graceMs / 10);
    await settledWithin(this.#dispatcher.idle(), graceMs - noticeMs);
    this.#dispatcher.close("ERR_DRAINING");
    await this.#pool.close(Math.max(0, deadlineMs - performance.now()));
    await this.#release();
  }

  /** Ends its workers now; what they have in flight fails. */
  async destroy(): Promise<void> {
    this.#dispatcher.close("ERR_DRAINING");
    await this.#pool.destroy();
    await this.#release();
  }

  /** The workers are gone: nobody reads its folder any more. */
  async #release(): Promise<void> {
    await releaseLease(toGenerationDir(this.#config.stateDir, this.manifest.id), process.pid);
  }

  #limitsOf(route: number, method: string): BufferedLimits | undefined {
    const report = this.#reports[route];
    if (report === undefined) return undefined;
    // A method is any token, also one that all objects have a property of.
    return Object.hasOwn(report.methodLimits, method) ? report.methodLimits[method] : report.limits;
  }

  /** What the first worker loaded, all others of the generation load too. */
  #learn(reports: readonly RouteReport[]): void {
    this.#reports = reports.map((report) => toBuffered(report, this.#buffering));
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

  #withLane(workerId: WorkerId, act: (lane: Lane) => void): void {
    const lane = this.#lanes.get(workerId);
    if (lane !== undefined) act(lane);
  }

  #describeHang(workerId: WorkerId, stack: readonly StackFrame[]): object {
    const lane = this.#lanes.get(workerId);
    if (lane === undefined) return {};
    return describeHang(this.#dispatcher.workOf(lane), {
      stack,
      manifest: this.manifest,
      requestIdOf: (id) => this.#requestIdPrefix + id.toString(36),
    });
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
    generationDir: toGenerationDir(config.stateDir, manifest.id),
    mode: config.mode,
    requestIdPrefix,
    bodyBufferBytes: config.bodyBufferBytes,
    responseCreditBytes: config.responseBufferBytes,
    logLevel: config.logLevel,
    logFormat: config.logFormat,
  };
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

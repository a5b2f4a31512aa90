import type { ExchangeMessage, RouteReport, WorkerId, WorkerSettings } from "./channel/messages.ts";
import type { Config } from "./config.ts";
import type { WorkerInfo } from "./control/operations.ts";
import { describeHang } from "./describe-hang.ts";
import type { ByteBudget } from "./dispatch/byte-budget.ts";
import type { ClientSide } from "./dispatch/client-side.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import type { Lane } from "./dispatch/lane.ts";
import type { Spool } from "./dispatch/spool.ts";
import { RuleBook } from "./dispatch/route-rules.ts";
import type { RuntimeError } from "./errors.ts";
import { toGenerationDir } from "./generation/generation-store.ts";
import { releaseLease } from "./generation/lease.ts";
import type { Manifest } from "./generation/manifest.ts";
import type { Logger } from "./log.ts";
import type { Counters } from "./observe/counters.ts";
import { createMatcher, type Matcher } from "./route/match.ts";
import type { ParsedTarget } from "./route/target-path.ts";
import { settledWithin } from "./settled-within.ts";
import type { StackFrame } from "./stack-frames.ts";
import type { TurnClock } from "./turn-clock.ts";
import { areWorkersDebugged } from "./supervise/fork-worker.ts";
import { isOwnDoing, type LossCause } from "./supervise/loss-cause.ts";
import { Pool } from "./supervise/pool.ts";
import type { RecycleLimits } from "./supervise/recycle-policy.ts";
import type { WorkerLoad } from "./supervise/worker-gauge.ts";

/** How long before the end of the grace handlers are told that it ends. */
const SHUTDOWN_NOTICE_MS = 1_000;

export interface LiveGenerationOptions {
  config: Config;
  log: Logger;
  /** Of a generation that was built with a lease for this process; it is released at the end. */
  manifest: Manifest;
  clock: TurnClock;
  bodyBudget: ByteBudget;
  spool: Spool;
  counters: Counters;
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
  #rules: RuleBook;
  readonly #requestIdPrefix: string;

  private constructor(options: LiveGenerationOptions) {
    const { config, log, manifest } = options;
    this.manifest = manifest;
    this.#log = log;
    this.#config = config;
    this.#rules = new RuleBook([], config);
    this.#match = createMatcher(manifest);
    this.#dispatcher = new Dispatcher({
      log,
      clock: options.clock,
      workerConcurrency: config.workerConcurrency,
      queueLimit: config.queueLimit,
      queueDelayMs: config.queueDelayMs,
      queueTimeoutMs: config.queueTimeoutMs,
      maxRequests: config.maxRequests,
      bodyBudget: options.bodyBudget,
      spool: options.spool,
      responseCreditBytes: config.responseBufferBytes,
      counters: options.counters,
      quarantineMs: config.quarantineMs,
      routes: {
        mayReplay: (route, method) => this.#rules.rulesOf(route, method).replay,
        nameOf: (route) => patternOf(manifest, route),
      },
    });
    this.#pool = new Pool({
      log,
      workers: config.workers,
      maxWorkers: config.maxWorkers,
      recycle: toRecycleLimits(config),
      settings: toSettings(options),
      nextWorkerId: options.nextWorkerId,
      bootTimeoutMs: config.bootTimeoutMs,
      // What it was given before may take as long as any request.
      retireGraceMs: Math.max(config.drainGraceMs, config.requestTimeoutMs),
      loadOf: (worker) => this.#loadOf(worker.id),
      queueAgeMs: (nowMs) => this.#dispatcher.queueAgeMs(nowMs),
      onReady: (worker, report) => {
        if (this.#reports.length === 0) this.#learn(report.routes);
        this.#lanes.set(worker.id, this.#dispatcher.attach(worker.id, worker.channel));
      },
      onMessage: (worker, message) => this.#onMessage(worker.id, message),
      onRetire: (worker) => this.#withLane(worker.id, (lane) => this.#dispatcher.retire(lane)),
      onUnreachable: (worker) => this.#withLane(worker.id, (lane) => this.#dispatcher.retire(lane)),
      onDown: (isDown) => this.#dispatcher.markDown(isDown),
      onLost: (worker, error, cause) => this.#onLost(worker.id, error, cause),
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

  /** Whether it can answer requests now: a worker of it is ready. */
  get isReady(): boolean {
    return this.#dispatcher.readyWorkers > 0;
  }

  /** Exchanges that wait for a worker, and that workers have. */
  get load(): { queued: number; inFlight: number } {
    return this.#dispatcher.load;
  }

  /** Its workers, as operators see them. */
  get workers(): WorkerInfo[] {
    return this.#pool.workers.map(({ id, pid, state }) => ({ id, pid, state: state.kind }));
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
    const route = "route" in match ? match.route : -1 - match.fallback;
    const params = "route" in match ? match.params : null;
    const rules = this.#rules.rulesOf(route, client.head.method);
    if (rules.transfer !== null) client.limitTransfers(rules.transfer);
    const { bodyLimitBytes, timeoutMs, buffering, reserved } = rules;
    this.#dispatcher.admit(client, {
      route,
      params,
      url,
      bodyLimitBytes,
      timeoutMs,
      buffering,
      reserved,
    });
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

  /** What the first worker loaded, all others of the generation load too. */
  #learn(reports: readonly RouteReport[]): void {
    this.#reports = reports;
    this.#rules = new RuleBook(reports, this.#config);
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

  #loadOf(workerId: WorkerId): WorkerLoad {
    const lane = this.#lanes.get(workerId);
    return { requests: lane?.dispatched ?? 0, inFlight: lane?.inFlight.size ?? 0 };
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

  #onLost(workerId: WorkerId, error: RuntimeError, cause: LossCause): void {
    const lane = this.#lanes.get(workerId);
    if (lane === undefined) return;
    this.#lanes.delete(workerId);
    const loss = { code: "ERR_WORKER_EXITED", ownDoing: isOwnDoing(cause) } as const;
    const { failed, replayed } = this.#dispatcher.detach(lane, loss);
    const fields = { workerId, cause, reason: error.message, replayed };
    if (failed > 0) this.#log.error({ ...fields, exchanges: failed }, "exchanges lost");
    else if (replayed > 0) this.#log.warn(fields, "exchanges go to another worker");
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

function toRecycleLimits(config: Config): RecycleLimits {
  return {
    requests: config.maxRequestsPerWorker,
    requestsJitter: config.maxRequestsJitter,
    ageMs: config.maxWorkerAgeMs,
    idleMs: config.maxWorkerIdleMs,
    memoryBytes: config.workerMemoryLimitBytes,
  };
}

function patternOf({ routes, fallbacks }: Manifest, route: number): string {
  const { pattern } = (route < 0 ? fallbacks[-1 - route] : routes[route]) ?? { pattern: "" };
  return pattern;
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

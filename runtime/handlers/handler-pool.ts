import { createHash } from "node:crypto";
import { getHeapStatistics } from "node:v8";
import { join } from "node:path";
import type {
  AppSettings,
  CacheMessage,
  MeasuredRequests,
  PurgeMessage,
  RouteNumber,
  SocketActsMessage,
  RouteReport,
  WorkerId,
  WorkerReport,
  WorkerSettings,
} from "../channel/messages.ts";
import { QUEUE_METHOD } from "../channel/messages.ts";
import type { ResponseCache } from "../cache/response-cache.ts";
import type { Config } from "../config/config.ts";
import { DEFAULT_SITE } from "../config/sites.ts";
import type { WorkerInfo } from "../control/operations.ts";
import { describeHang, toWords } from "../supervise/hang/describe-hang.ts";
import type { BlockPool } from "../bodies/block-pool.ts";
import type { Intakes } from "../bodies/intakes.ts";
import type { Exchange } from "../dispatch/exchange.ts";
import { Dispatcher } from "../dispatch/dispatcher.ts";
import type { Lane } from "../dispatch/lane.ts";
import { RuleBook } from "../dispatch/route-rules.ts";
import { findOldestWork } from "../dispatch/work.ts";
import type { Spool } from "../bodies/spool.ts";
import type { Admission } from "../http/admission.ts";
import type { FileSender } from "../http/file-sender.ts";
import { RuntimeError, toError } from "../lib/errors.ts";
import { toGenerationDir } from "../generation/generation-store.ts";
import type { Manifest } from "../generation/manifest.ts";
import type { KeptStates } from "../lib/kept-states.ts";
import type { SharedTakings } from "../limits/shared-takings.ts";
import type { Logger } from "../log/log.ts";
import type { Counters } from "../observe/counters.ts";
import { count, type PoolMeter } from "../observe/pool-meters.ts";
import type { OldestRequest } from "../observe/oldest-request.ts";
import type { ServerEvents } from "../observe/server-events.ts";
import type { GenerationLeases } from "../generation/generation-leases.ts";
import type { HandlerSockets } from "../sockets/handler-sockets.ts";
import { createHome, type SocketHome } from "../sockets/socket-home.ts";
import { HandlerCaches } from "./caches.ts";
import type { HandlerCalls } from "./calls.ts";
import { describeLoss } from "./describe-loss.ts";
import { HandlerPurges } from "./purges.ts";
import { type AppPlan, memoryLimitOf, type PoolPlan } from "./pool-plan.ts";
import { toDisplayPath } from "../lib/display-path.ts";
import { toRequestId } from "../lib/request-id.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { StackFrame } from "../lib/stack-frames.ts";
import { areWorkersDebugged } from "../supervise/fork-worker.ts";
import { isOwnDoing, type LossCause } from "../supervise/loss-cause.ts";
import type { OomKills } from "../supervise/oom-kills.ts";
import { Pool, type WorkerLease } from "../supervise/pool.ts";
import { toUsedHeapLimit } from "../supervise/memory-bounds.ts";
import type { RecycleLimits } from "../supervise/recycle-policy.ts";
import { toNoticeMs, toRetireGraceMs } from "../supervise/retire-grace.ts";
import type { WorkerProcess } from "../supervise/worker-process.ts";
import type { WorkerLoad } from "../supervise/worker-gauge.ts";
import type { TurnClock } from "../lib/turn-clock.ts";

/** Identifies a route, a fallback or the middleware that guards files of a generation. */
export interface RouteScope {
  kind: "route" | "fallback" | "guard";
  pattern: string;
  /** Absent: the default one. */
  site?: string | undefined;
}

/** The measurements of one worker. `null`: the worker has not sent them yet. */
export interface WorkerFigures {
  readonly id: WorkerId;
  /** Number of requests that it got. */
  readonly requests: number;
  readonly inFlight: number;
  readonly rssBytes: number | null;
  readonly heapUsedBytes: number | null;
  /** Share of the last second in which its event loop was busy. */
  readonly loopUtilization: number | null;
  /** Promises of `waitUntil()` that have not settled. */
  readonly backgroundWork: number | null;
  /** How long it took to answer its last ping. */
  readonly pongMs: number | null;
  readonly pid: number;
  /** How long it has been ready. */
  readonly readyForMs: number | null;
}

/** The parts that all pools of a primary share. */
export interface SharedParts {
  log: Logger;
  clock: TurnClock;
  admission: Admission;
  intakes: Intakes;
  blocks: BlockPool;
  spool: Spool;
  counters: Counters;
  files: FileSender;
  cache: ResponseCache;
  /** The buckets of the routes' rate limits. They outlive generations. */
  limitStates: KeptStates;
  /** Joins these rate limits with those of other servers. */
  takings: SharedTakings;
  requestIdPrefix: string;
  nextWorkerId: () => WorkerId;
  oomKills: OomKills;
  leases: GenerationLeases;
  /** The WebSockets of all handlers. */
  sockets: HandlerSockets;
  /** The calls of handlers to other handlers and to files. */
  calls: HandlerCalls;
}

export interface HandlerPoolOptions extends SharedParts {
  config: Config;
  /** The manifest of the generation with this pool's code. The caller holds a lease on its folder. */
  manifest: Manifest;
  plan: PoolPlan;
}

/**
 * The workers of one pool with one version of its code. Has its own dispatcher and queue.
 *
 * A pool outlives its generation when the next one needs the same workers. It therefore uses the route numbers of the
 * generation that its code comes from, and keeps a lease on that generation's folder until its last worker is gone.
 *
 *     starting ──all ready──▶ serving ──no generation needs it──▶ retiring ──nothing in flight──▶ ended
 *         └── cannot boot ──────┴──── closed, destroyed ──────────────┴──────────────────────────▲
 */
export class HandlerPool {
  readonly plan: PoolPlan;
  /** The manifest of the generation with this pool's code. */
  readonly manifest: Manifest;
  readonly dispatcher: Dispatcher;
  readonly #log: Logger;
  readonly #requestIdPrefix: string;
  readonly #leases: GenerationLeases;
  readonly #purges: HandlerPurges;
  readonly #caches: HandlerCaches;
  readonly #pool: Pool;
  readonly #meter: PoolMeter;
  readonly #events: ServerEvents;
  /** The worker that hung last, and the file that blocked it. */
  #hang: { workerId: WorkerId; handler: string | null } | null = null;
  readonly #lanes = new Map<WorkerId, Lane>();
  readonly #sockets: HandlerSockets;
  /** The workers that are ready, for WebSockets. */
  readonly #homes = new Map<WorkerId, SocketHome>();
  /** The workers that take nothing new, but still have WebSockets. */
  readonly #formerHomes = new Map<WorkerId, SocketHome>();
  readonly #numbers = new Map<string, RouteNumber>();
  #reports: readonly (RouteReport | null)[] = [];
  #warnings: readonly string[] = [];
  /** Rules that do not depend on the generation that the pool serves. */
  #rules: RuleBook;
  #leased = true;
  /** The config of the generation that the pool serves now. */
  #config: Config;
  #codeTag: string | null = null;
  /** Returns the tags of the code of all pools of that generation. */
  #codeTags: () => ReadonlySet<string> = () => new Set([this.codeTag]);
  /** Lowest number of workers. */
  #least: number;

  private constructor(options: HandlerPoolOptions) {
    const { config, log, manifest, plan } = options;
    this.plan = plan;
    const meter = options.counters.pools.of(plan.name);
    this.#meter = meter;
    this.#events = options.counters.events;
    this.#least = plan.workers;
    this.#config = config;
    this.#rules = new RuleBook([], config);
    this.manifest = manifest;
    this.#log = log;
    this.#requestIdPrefix = options.requestIdPrefix;
    this.#leases = options.leases;
    this.#sockets = options.sockets;
    this.#purges = new HandlerPurges(options);
    const drops = (): boolean => this.#config.cacheReload === "drop";
    this.#caches = new HandlerCaches({
      cache: options.cache,
      codeTag: () => (drops() ? this.codeTag : null),
      codeTags: () => (drops() ? this.#codeTags() : null),
    });
    manifest.routes.forEach(({ pattern, site }, number) =>
      this.#numbers.set(toKey({ kind: "route", pattern, site }), number),
    );
    manifest.fallbacks.forEach(({ pattern, site, files }, number) =>
      this.#numbers.set(toKey({ kind: files ? "guard" : "fallback", pattern, site }), -1 - number),
    );
    this.#leases.hold(manifest.id);
    this.dispatcher = new Dispatcher({
      log,
      clock: options.clock,
      workerConcurrency: plan.concurrency,
      queueLimit: config.queueLimit,
      // Threads make requests wait: in an application, a wait is no sign of overload.
      queueDelayMs: plan.app === null ? config.queueDelayMs : 0,
      queueTimeoutMs: config.queueTimeoutMs,
      spool: options.spool,
      responseCreditBytes: config.responseBufferBytes,
      blocks: options.blocks,
      counters: options.counters,
      onWaited: (ms, { client }) => {
        meter.waits.note(ms);
        const { timings } = client;
        if (timings !== null && timings !== undefined) timings.queueMs += ms;
      },
      measures: measuredRequests(config) !== "none",
      files: options.files,
      onUpgrade: (exchange, lane, message) => {
        const home = this.#homes.get(lane.workerId) ?? this.#formerHomes.get(lane.workerId);
        if (home === undefined) exchange.client.refuse(503);
        else {
          const { client, route, url } = exchange;
          const site = scopeOf(this.manifest, route)?.site ?? DEFAULT_SITE;
          this.#sockets.accept(client, { home, site, url }, message);
        }
      },
      openTopics: ({ client, route, url }, message) => {
        const site = scopeOf(this.manifest, route)?.site ?? DEFAULT_SITE;
        const mostBytes = this.#sockets.bufferBytesOf({ site, url });
        return this.#sockets.streams.open(client, { site, mostBytes }, message);
      },
      quarantineMs: config.quarantineMs,
      routes: {
        // A lost batch goes back to its queue, where the attempt counts.
        mayReplay: (route, method) =>
          method === QUEUE_METHOD ? false : this.#rules.rulesOf(route, method).replay,
        describe: (exchange) => this.#describe(exchange),
      },
    });
    const retireGraceMs = (): number => toRetireGraceMs(this.#config);
    this.#pool = new Pool({
      log,
      workers: plan.workers,
      maxWorkers: plan.maxWorkers,
      recycle: toRecycleLimits(config, plan),
      settings: toSettings(options),
      variables: config.variables,
      nextWorkerId: options.nextWorkerId,
      oomKills: options.oomKills,
      traffic: meter.channel,
      bootTimeoutMs: config.bootTimeoutMs,
      get retireGraceMs() {
        return retireGraceMs();
      },
      loadOf: (worker) => this.#loadWithSockets(worker.id),
      queueAgeMs: (nowMs) => this.dispatcher.queueAgeMs(nowMs),
      onReady: (worker, report) => {
        meter.started++;
        if (this.#reports.length === 0) this.#keepReport(report);
        const { threads, pid } = report;
        const lane = this.dispatcher.attach(worker.id, worker.channel, { threads, pid });
        worker.onExchange = this.dispatcher.receiverOf(lane);
        this.#lanes.set(worker.id, lane);
        this.#addHome(worker);
      },
      onRetire: (worker, reason) => {
        count(meter.recycled, reason);
        const graceMs = retireGraceMs();
        // The worker has time for its code after the last one.
        this.#retireHome(worker.id, graceMs - 2 * toNoticeMs(graceMs));
        this.#withLane(worker.id, (lane) => this.dispatcher.retire(lane));
      },
      onNotice: ({ id }) => {
        const graceMs = retireGraceMs();
        this.#withLane(id, (lane) => this.dispatcher.cutOff(lane, { graceMs }));
      },
      onFailed: (failure) => options.counters.failures.explain(failure),
      onPurge: (worker, message) => this.#purge(worker, message),
      onCache: (worker, message) => this.#useCaches(worker, message),
      onCall: (worker, message) => options.calls.take(worker, message),
      onSocketActs: (worker, message) => this.#takeActs(worker, message),
      onUnreachable: (worker) => {
        const home = this.#homes.get(worker.id);
        this.#homes.delete(worker.id);
        if (home !== undefined) this.#formerHomes.set(worker.id, home);
        this.#withLane(worker.id, (lane) => this.dispatcher.retire(lane));
      },
      onLost: (worker, error, cause) => {
        this.#caches.lose(worker.id);
        options.calls.lose(worker.id);
        count(meter.ended, cause);
        this.#loseHome(worker.id, cause);
        this.#onLost(worker.id, error, cause);
      },
      onDown: (isDown) => this.dispatcher.markDown(isDown),
      heartbeat: {
        hangTimeoutMs: areWorkersDebugged() ? 0 : config.hangTimeoutMs,
        blockWarnMs: areWorkersDebugged() ? 0 : config.blockWarnMs,
        onBlocked: () => meter.blocked++,
        onStalled: (worker) => this.#withLane(worker.id, (lane) => this.dispatcher.stall(lane)),
        onRecovered: (worker) => this.#withLane(worker.id, (lane) => this.dispatcher.resume(lane)),
        describe: (worker, stack) => this.#describeHang(worker.id, stack),
      },
    });
  }

  /**
   * Starts a pool and waits until all of its workers are ready.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD` or `ERR_BOOT_LOOP` when they cannot boot; the signal's reason. The pool is
   *   then destroyed.
   */
  static async start(
    options: HandlerPoolOptions,
    { signal }: { signal: AbortSignal },
  ): Promise<HandlerPool> {
    signal.throwIfAborted();
    const pool = new HandlerPool(options);
    const listening = new AbortController();
    try {
      const aborted = new Promise<never>((_, reject) => {
        const fail = (): void => reject(toError(signal.reason));
        signal.addEventListener("abort", fail, { once: true, signal: listening.signal });
      });
      await Promise.race([pool.#pool.start(), aborted]);
    } catch (error) {
      await pool.destroy();
      throw error;
    } finally {
      listening.abort();
    }
    return pool;
  }

  /** Describes the workers for operators. */
  get workers(): WorkerInfo[] {
    return this.#pool.workers.map(({ id, pid, state: { kind } }) => {
      const isSilent = kind === "ready" && this.#lanes.get(id)?.isSilent === true;
      return { id, pid, state: isSilent ? "silent" : kind };
    });
  }

  /** The measurements of the workers, also of those that start or drain. */
  get gauges(): WorkerFigures[] {
    return this.#pool.workers.map((worker) => {
      const { requests, inFlight } = this.#loadOf(worker.id);
      const { rssBytes = null, heapUsedBytes = null, loopUtilization = null } = worker.vitals ?? {};
      const backgroundWork = worker.vitals?.backgroundWork ?? null;
      const pongMs = this.#pool.pongMs(worker);
      const { id, pid, readyAtMs } = worker;
      const readyForMs = readyAtMs === null ? null : performance.now() - readyAtMs;
      const load = { requests, inFlight, backgroundWork };
      const vitals = { rssBytes, heapUsedBytes, loopUtilization, pongMs };
      return { id, ...load, ...vitals, pid, readyForMs };
    });
  }

  /**
   * Opens the inspector of a worker for a client on this machine. The worker is not killed for its silence meanwhile.
   *
   * @param options.standsStill The worker will stand still: it gets no new requests.
   * @throws RuntimeError `ERR_OVERLOADED` when the worker does not open its inspector; `ERR_CONFIG` when another client has it.
   */
  leaseInspector(workerId: number, options: { standsStill: boolean }): Promise<WorkerLease> {
    return this.#pool.leaseInspector(workerId, options);
  }

  /** Returns the request that each worker has had for the longest time, by worker. Workers without a request are not in it. */
  oldestRequests(nowMs: number): Map<WorkerId, OldestRequest> {
    const found = new Map<WorkerId, OldestRequest>();
    for (const [workerId, lane] of this.#lanes) {
      const work = findOldestWork(lane, nowMs);
      if (work === null) continue;
      const { id, givenId, method, target, route, state, forMs } = work;
      found.set(workerId, {
        requestId: givenId ?? toRequestId(this.#requestIdPrefix, id),
        method,
        route: scopeOf(this.manifest, route)?.pattern ?? "",
        path: target.split("?", 1)[0] ?? "",
        state: toWords(state),
        ageMs: forMs,
      });
    }
    return found;
  }

  /** A tag for stored answers of this pool's code. Equal code has the same tag, also in another process. */
  get codeTag(): string {
    this.#codeTag ??= toCodeTag(this.plan);
    return this.#codeTag;
  }

  /**
   * Makes the pool serve another generation. That generation's settings may differ only where the running workers are
   * not affected.
   *
   * @param codeTags Returns the tags of the code of all pools of the generation.
   */
  adopt(config: Config, codeTags: () => ReadonlySet<string>): void {
    this.#config = config;
    this.#codeTags = codeTags;
    this.#purges.adopt(config);
    this.#pool.limitMemory(memoryLimitOf(this.plan.name, config));
  }

  /** The number of workers that the pool should have. */
  get desired(): number {
    return this.#pool.desired;
  }

  /** Adds or removes one worker. At least one stays. Returns the new number. */
  resize(change: 1 | -1): number {
    this.#least = this.#pool.resize(this.#least + change);
    return this.#least;
  }

  /** Replaces a worker: it drains once a fresh one serves. Returns false if no ready worker has this number. */
  recycle(workerId: number): boolean {
    return this.#pool.recycle(workerId);
  }

  /** The ready workers, as the dispatcher's lanes. */
  get lanes(): Lane[] {
    return [...this.#lanes.values()];
  }

  /** Returns the number that the dispatcher and the workers use for a route or fallback, in every generation. */
  numberOf(scope: RouteScope): RouteNumber {
    const { kind, pattern } = scope;
    const number = this.#numbers.get(toKey(scope));
    if (number !== undefined) return number;
    throw new TypeError(`pool ${this.plan.name} has no ${kind} ${pattern}`);
  }

  /** Warnings of the workers about the modules that they load, one line each. */
  get warnings(): readonly string[] {
    return this.#warnings;
  }

  /** The workers' reports about routes, indexed by this pool's route numbers; `null` for routes of other pools. */
  get reports(): readonly (RouteReport | null)[] {
    return this.#reports;
  }

  /** The ready workers, for WebSockets. */
  get homes(): Iterable<SocketHome> {
    return this.#homes.values();
  }

  /** Tells whether a route takes WebSockets that another worker has accepted. */
  takesSockets(route: RouteNumber): boolean {
    return this.#reports[route]?.hasSockets === true;
  }

  /** Lets WebSockets leave its workers, which take nothing new. Must be called when another generation serves. */
  releaseSockets(graceMs: number): void {
    for (const id of this.#homes.keys()) this.#retireHome(id, graceMs);
  }

  /** True while the pool has a ready worker. */
  get isReady(): boolean {
    return this.dispatcher.readyWorkers > 0;
  }

  /**
   * Answers all admitted requests, then closes. Each request may take its own timeout, and a stream may run to its end.
   *
   * @param graceMs Time for promises that handlers passed to `waitUntil`.
   */
  async retire(graceMs: number): Promise<void> {
    await this.dispatcher.idle();
    await this.close(graceMs);
  }

  /**
   * Answers all admitted requests, then ends the workers. Requests that take longer than the grace period fail with
   * 503. May also be called while `retire` runs, which has no deadline.
   */
  async close(graceMs: number): Promise<void> {
    const deadlineMs = performance.now() + graceMs;
    this.releaseSockets(graceMs);
    // Handlers whose requests are cut off learn it from `request.signal`. They have the rest of the grace period to
    // clean up.
    await settledWithin(this.dispatcher.idle(), graceMs - toNoticeMs(graceMs));
    this.dispatcher.close("ERR_DRAINING", { graceMs: this.#config.drainGraceMs });
    await this.#pool.close(Math.max(0, deadlineMs - performance.now()));
    await this.#release();
  }

  /** Ends the workers now. Their exchanges in flight fail. */
  async destroy(): Promise<void> {
    this.dispatcher.close("ERR_DRAINING");
    await this.#pool.destroy();
    await this.#release();
  }

  /** Releases the lease. The workers are gone, so no process of this pool reads the generation's folder any more. */
  async #release(): Promise<void> {
    if (!this.#leased) return;
    this.#leased = false;
    await this.#leases.release(this.manifest.id);
  }

  /** Keeps the first worker's report. All workers of the pool load the same code. */
  #keepReport({ routes, warnings }: WorkerReport): void {
    this.#reports = routes;
    this.#warnings = warnings;
    this.#rules = new RuleBook(routes, this.#config);
  }

  #purge({ channel }: WorkerProcess, [, number, route, entries]: PurgeMessage): void {
    const scope = scopeOf(this.manifest, route);
    if (scope === undefined) {
      throw new RuntimeError("ERR_PROTOCOL", `Cannot purge for route ${route}: there is none`);
    }
    const { site } = scope;
    void this.#purges.run({ number, entries, site }, (message) => channel.send(message));
  }

  #useCaches(worker: WorkerProcess, message: CacheMessage): void {
    this.#caches.take(worker, message, (route) => {
      const scope = scopeOf(this.manifest, route);
      if (scope !== undefined) return scope.site ?? DEFAULT_SITE;
      throw new RuntimeError("ERR_PROTOCOL", `Cannot use caches for route ${route}: there is none`);
    });
  }

  #takeActs({ id }: WorkerProcess, [, acts]: SocketActsMessage): void {
    const home = this.#homes.get(id) ?? this.#formerHomes.get(id);
    if (home === undefined) return;
    const siteOf = (route: number): string => scopeOf(this.manifest, route)?.site ?? DEFAULT_SITE;
    this.#sockets.take(home, siteOf, acts);
  }

  #addHome({ id, channel }: WorkerProcess): void {
    const send: SocketHome["send"] = (message, bytes) => channel.send(message, bytes);
    this.#homes.set(id, createHome(id, send));
    this.#sockets.ready();
  }

  #retireHome(id: WorkerId, graceMs: number): void {
    const home = this.#homes.get(id);
    if (home === undefined) return;
    this.#homes.delete(id);
    this.#formerHomes.set(id, home);
    this.#sockets.retire(home, graceMs);
  }

  #loseHome(id: WorkerId, cause: LossCause): void {
    const home = this.#homes.get(id) ?? this.#formerHomes.get(id);
    this.#homes.delete(id);
    this.#formerHomes.delete(id);
    if (home === undefined) return;
    const hasOtherWork = (this.#lanes.get(id)?.busy ?? 0) > 0;
    this.#sockets.lose(home, { isSuspect: isOwnDoing(cause), hasOtherWork });
  }

  #loadOf(workerId: WorkerId): WorkerLoad {
    const lane = this.#lanes.get(workerId);
    return { requests: lane?.dispatched ?? 0, inFlight: lane?.inFlight.size ?? 0 };
  }

  /** Returns the load with the WebSockets that end with a worker: it does not count as idle while it has some. */
  #loadWithSockets(workerId: WorkerId): WorkerLoad {
    const { requests, inFlight } = this.#loadOf(workerId);
    return { requests, inFlight: inFlight + (this.#homes.get(workerId)?.bound ?? 0) };
  }

  #withLane(workerId: WorkerId, act: (lane: Lane) => void): void {
    const lane = this.#lanes.get(workerId);
    if (lane !== undefined) act(lane);
  }

  #describeHang(workerId: WorkerId, stack: readonly StackFrame[]): object {
    const lane = this.#lanes.get(workerId);
    if (lane === undefined) return {};
    const description = describeHang(this.dispatcher.workOf(lane), {
      stack,
      manifest: this.manifest,
      requestIdOf: ({ id, givenId }) => givenId ?? toRequestId(this.#requestIdPrefix, id),
    });
    this.#hang = { workerId, handler: description.handler ?? null };
    return description;
  }

  /** Returns the fields that name a request in the log. */
  #describe({ id, route, client, url }: Exchange): object {
    const site = scopeOf(this.manifest, route)?.site;
    return {
      requestId: client.head.requestId ?? toRequestId(this.#requestIdPrefix, id),
      ...(site !== undefined && { site }),
      route: scopeOf(this.manifest, route)?.pattern ?? "",
      handler: handlerOf(this.manifest, route, client.head.method),
      method: client.head.method,
      path: new URL(url).pathname,
    };
  }

  #onLost(workerId: WorkerId, error: RuntimeError, cause: LossCause): void {
    const lane = this.#lanes.get(workerId);
    if (lane === undefined) return;
    this.#lanes.delete(workerId);
    const loss = { code: "ERR_WORKER_EXITED", ownDoing: isOwnDoing(cause) } as const;
    const { failed, replayed, firstFailed } = this.dispatcher.detach(lane, loss);
    this.#meter.replayed += replayed;
    this.#meter.lost += failed;
    const fields = { workerId, cause, reason: error.message, replayed };
    if (cause !== "retired") {
      // A worker that was blocked for a while has a description, too, and may be lost for another reason.
      const isHung = cause === "hung" && this.#hang?.workerId === workerId;
      const hang = isHung ? (this.#hang?.handler ?? null) : null;
      const lost = { workerId, pool: this.plan.name, cause, handler: hang, failed, replayed };
      this.#events.add({ kind: "worker", isGood: false, text: describeLoss(lost) });
    }
    if (firstFailed !== null) {
      const first = this.#describe(firstFailed);
      this.#log.error({ ...fields, exchanges: failed, first }, "exchanges lost");
    } else if (replayed > 0) this.#log.warn(fields, "exchanges go to another worker");
  }
}

function toCodeTag({ code, others }: PoolPlan): string {
  const packages = others.get("packages") ?? "";
  // In development, each build is code of its own.
  const build = others.get("build") ?? "";
  const hash = createHash("sha256").update(JSON.stringify([[...code], packages, build]));
  return `edgicorn-code:${hash.digest("base64url").slice(0, 16)}`;
}

function scopeOf(
  { routes, fallbacks }: Manifest,
  route: number,
): Manifest["routes"][number] | Manifest["fallbacks"][number] | undefined {
  return route < 0 ? fallbacks[-1 - route] : routes[route];
}

/** Returns the file that answers a method of a route, in the form used in messages. */
function handlerOf(
  { sourceDir, modules, routes, fallbacks }: Manifest,
  route: number,
  method: string,
): string {
  const named = method === "HEAD" ? "GET" : method;
  const handlers = routes[route]?.handlers ?? [];
  const answering =
    handlers.find((handler) => handler.method === named) ??
    handlers.find((handler) => handler.method === null) ??
    handlers[0];
  const module = route < 0 ? fallbacks[-1 - route]?.module : answering?.module;
  const source = module === undefined ? undefined : modules[module]?.source;
  return source === undefined ? "" : toDisplayPath(join(sourceDir, source));
}

/** Returns a key that is unique among the routes and fallbacks of all sites. */
function toKey({ kind, pattern, site = "" }: RouteScope): string {
  return `${kind} ${site} ${pattern}`;
}

function toSettings(options: HandlerPoolOptions): Omit<WorkerSettings, "workerId"> {
  const { config, manifest, plan, requestIdPrefix } = options;
  return {
    generationDir: toGenerationDir(config.stateDir, manifest.id),
    pool: plan.name,
    mode: config.mode,
    bootTimeoutMs: config.bootTimeoutMs,
    requestIdPrefix,
    trustsRequestIds: config.trustedProxies !== null,
    bodyBufferBytes: config.bodyBufferBytes,
    responseCreditBytes: config.responseBufferBytes,
    compression: config.compression ? config.compressionLevel : null,
    logLevel: config.logLevel,
    logFormat: config.logFormat,
    logFile: config.logFile,
    measures: measuredRequests(config),
    traces: config.otlp !== null,
    redactQuery: config.redactQuery,
    bindings: plan.bindings,
    app: plan.app === null ? null : toAppSettings(plan.app, options),
  };
}

function toAppSettings(app: AppPlan, { manifest }: HandlerPoolOptions): AppSettings {
  const { file = null } = app;
  return { ...app, file, spools: true, routes: manifest.routes.length, cwd: process.cwd() };
}

/** Returns the requests for which a setting asks for the time of their handlers. */
function measuredRequests({
  serverTiming,
  serverTimingTokenDigest,
  otlp,
}: Config): MeasuredRequests {
  if (serverTiming || serverTimingTokenDigest !== null) return "all";
  return otlp === null ? "none" : "sampled";
}

function toRecycleLimits(config: Config, plan: PoolPlan): RecycleLimits {
  // A worker without its own heap limit has the limit of this process.
  const { heap_size_limit: heapBytes } = getHeapStatistics();
  return {
    requests: config.maxRequestsPerWorker,
    requestsJitter: config.maxRequestsJitter,
    ageMs: config.maxWorkerAgeMs,
    idleMs: config.maxWorkerIdleMs,
    memoryBytes: plan.memoryLimitBytes,
    heapBytes: plan.hasOwnMemoryLimit ? 0 : toUsedHeapLimit(heapBytes),
  };
}

import type {
  BootFailure,
  CacheMessage,
  CallMessage,
  HandlerFailure,
  PurgeMessage,
  SocketActsMessage,
  WorkerId,
  WorkerReport,
  WorkerSettings,
} from "../channel/messages.ts";
import { assertNever, RuntimeError } from "../lib/errors.ts";
import type { StackFrame } from "../lib/stack-frames.ts";
import type { Logger } from "../log/log.ts";
import { decideScale, UNDECIDED } from "./autoscale.ts";
import { describeBootLoss } from "./boot-loss.ts";
import { leaseInspector } from "./hang/inspector-lease.ts";
import { Heartbeat, type HeartbeatOptions } from "./hang/heartbeat.ts";
import type { LossCause } from "./loss-cause.ts";
import { pickHeapBound, pickMemoryLimit, toMemoryBounds } from "./memory-bounds.ts";
import { OOM_KILL, type OomKills } from "./oom-kills.ts";
import {
  advance,
  EMPTY_POOL,
  isDown,
  type Member,
  type PoolEvent,
  type Vacancy,
} from "./pool-state.ts";
import { readRssBytes } from "./process-usage.ts";
import { Reaper } from "./reaper.ts";
import { type Action, reconcile, type RetireReason } from "./reconcile.ts";
import { pickRecycleReason, type RecycleLimits } from "./recycle-policy.ts";
import { WorkerGauge, type WorkerLoad } from "./worker-gauge.ts";
import { WorkerProcess, type WorkerExit, type WorkerProcessOptions } from "./worker-process.ts";

/** Time between inspections. It bounds how much memory a worker can allocate before it is killed. */
const INSPECT_MS = 500;

const MOST_WORKERS = 1024;

export interface PoolOptions {
  log: Logger;
  /** Desired number of workers, at least 1. */
  workers: number;
  /** Most workers when they are busy; `workers` or less: the number does not change. */
  maxWorkers: number;
  recycle: RecycleLimits;
  settings: Omit<WorkerSettings, "workerId">;
  /** Added to the environment of the workers. */
  variables: Readonly<Record<string, string>>;
  nextWorkerId: () => WorkerId;
  /** Counts the bytes and frames of all channels. */
  traffic?: NonNullable<WorkerProcessOptions["traffic"]>;
  oomKills: OomKills;
  bootTimeoutMs: number;
  /** How long a retired worker may take to finish its exchanges. */
  retireGraceMs: number;
  /** Returns the load of a ready worker. */
  loadOf: (worker: WorkerProcess) => WorkerLoad;
  /** Returns how long the oldest queued exchange has waited. */
  queueAgeMs: (nowMs: number) => number;
  /** The worker serves: the callee sets its `onExchange`. */
  onReady: (worker: WorkerProcess, report: WorkerReport) => void;
  /** The worker serves and is about to drain: it must get nothing new. */
  onRetire: (worker: WorkerProcess, reason: RetireReason) => void;
  /** A retired worker is killed shortly: its exchanges must be aborted. Its channel is open. */
  onNotice: (worker: WorkerProcess) => void;
  onUnreachable: (worker: WorkerProcess) => void;
  /** A handler asks for a purge: the callee answers it. */
  onPurge: (worker: WorkerProcess, message: PurgeMessage) => void;
  /** A handler failed. */
  onFailed: (failure: HandlerFailure) => void;
  /** A handler uses `caches`: the callee answers it. */
  onCache: (worker: WorkerProcess, message: CacheMessage) => void;
  /** A handler calls another one, or asks for a file: the callee answers it. */
  onCall: (worker: WorkerProcess, message: CallMessage) => void;
  /** Handlers act on WebSockets. */
  onSocketActs: (worker: WorkerProcess, message: SocketActsMessage) => void;
  onLost: (worker: WorkerProcess, error: RuntimeError, cause: LossCause) => void;
  /** True when no worker serves and boots fail again and again; false when a worker serves again. */
  onDown: (isDown: boolean) => void;
  heartbeat: Omit<HeartbeatOptions<WorkerProcess>, "log">;
}

/** An open inspector of a worker. */
export interface WorkerLease {
  readonly url: string;
  /** Aborts when the worker is lost. */
  readonly ended: AbortSignal;
  /** Closes the inspector. Never rejects. */
  end(): Promise<void>;
}

/**
 * Keeps the desired number of workers with the same code running, and replaces worn ones.
 *
 * `reconcile` decides the actions from a plain state. This class carries them out and feeds back events: every event
 * ends in one `#reconcile`. Once the pool ends, it starts no more workers.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #log: Logger;
  /** Memory limit of workers that are started from now on; 0: none. */
  #memoryLimitBytes: number;
  /** The memory limit under which each worker was started. */
  readonly #startedUnder = new Map<WorkerId, number>();
  /** The processes of the state's members. */
  readonly #processes = new Map<WorkerId, WorkerProcess>();
  /** Gauges of members that were ready. */
  readonly #gauges = new Map<WorkerId, WorkerGauge>();
  #state = EMPTY_POOL;
  #isDown = false;
  #desired: number;
  /** Least and most workers. */
  #bounds: { least: number; most: number };
  #scale = UNDECIDED;
  #waiting: NodeJS.Timeout | undefined;
  #inspecting: NodeJS.Timeout | undefined;
  readonly #heartbeat: Heartbeat<WorkerProcess>;
  #ending = false;
  #reaper: Reaper | null = null;
  /** Why a worker could not boot, if it or the primary could tell. */
  #failure: RuntimeError | null = null;
  /** The worker that reported the last failure. */
  #failedBoot: WorkerId | null = null;
  #closing: Promise<void> | null = null;
  #booted: { resolve: () => void; reject: (error: RuntimeError) => void } | null = null;

  constructor(options: PoolOptions) {
    const { workers, maxWorkers, recycle } = options;
    this.#options = options;
    this.#log = options.log;
    this.#desired = workers;
    this.#bounds = { least: workers, most: Math.max(workers, maxWorkers) };
    this.#memoryLimitBytes = recycle.memoryBytes;
    this.#heartbeat = new Heartbeat({ ...options.heartbeat, log: options.log });
  }

  /** All workers, also while they start or drain. */
  get workers(): WorkerProcess[] {
    return [...this.#processes.values()];
  }

  /** How long a worker took to answer its last ping; `null`: it has answered none. */
  pongMs(worker: WorkerProcess): number | null {
    return this.#heartbeat.pongMs(worker);
  }

  /** See `HandlerPool.leaseInspector`. */
  async leaseInspector(
    workerId: number,
    { standsStill }: { standsStill: boolean },
  ): Promise<WorkerLease> {
    const worker = this.workers.find(({ id }) => id === workerId);
    // A blocked worker may be examined at this moment.
    if (worker !== undefined) await this.#heartbeat.untilLooked(worker);
    const pause = worker === undefined ? null : this.#heartbeat.pause(worker, { standsStill });
    if (worker === undefined || pause === null) {
      throw new RuntimeError(
        "ERR_CONFIG",
        `Cannot inspect worker ${workerId}: it has ended, hangs, or another client inspects it`,
      );
    }
    try {
      const lease = await leaseInspector(worker.pid);
      return {
        url: lease.url,
        ended: pause.lost,
        end: () => lease.end().finally(pause.resume),
      };
    } catch (error) {
      pause.resume();
      const message = `Cannot inspect worker ${workerId}: it did not open its inspector, expected it to leave SIGUSR1 to Node`;
      throw new RuntimeError("ERR_OVERLOADED", message, { cause: error });
    }
  }

  /** The desired number of workers. */
  get desired(): number {
    return this.#desired;
  }

  /** How many workers serve. */
  get ready(): number {
    return this.#state.members.filter(({ kind }) => kind === "ready").length;
  }

  /**
   * Starts the workers and waits until all are ready for the first time.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD` or `ERR_BOOT_LOOP` as soon as a worker cannot boot: at the first start, a
   *   failure would repeat forever. All workers are gone by then.
   */
  async start(): Promise<void> {
    const booted = new Promise<void>((resolve, reject) => {
      this.#booted = { resolve, reject };
    });
    // A worker with a blocked event loop does not notice the end of its channel. Kill it when this process exits.
    process.setMaxListeners(process.getMaxListeners() + 1);
    process.on("exit", this.#killAll);
    this.#reconcile();
    this.#reaper = new Reaper(this.#log);
    this.#updateReaper();
    this.#inspecting = setInterval(() => this.#inspect(performance.now()), INSPECT_MS);
    this.#inspecting.unref();
    try {
      await booted;
    } catch (error) {
      this.#booted = null;
      await this.destroy();
      throw error;
    }
    this.#booted = null;
  }

  /**
   * Changes the desired number of workers. For a pool that scales by itself, changes the least number.
   *
   * @returns The number from now on: 1 to 1024.
   */
  resize(workers: number): number {
    const least = Math.min(Math.max(1, workers), MOST_WORKERS);
    const isScaling = this.#bounds.most > this.#bounds.least;
    const most = isScaling ? Math.max(this.#bounds.most, least) : least;
    this.#bounds = { least, most };
    this.#desired = isScaling ? Math.min(Math.max(this.#desired, least), most) : least;
    this.#scale = UNDECIDED;
    this.#reconcile();
    return least;
  }

  /** Replaces a worker: it drains once a fresh one serves. Returns false if no ready worker has this number. */
  recycle(workerId: number): boolean {
    const member = this.#state.members.find(({ id }) => id === workerId);
    if (member?.kind !== "ready" || this.#ending) return false;
    this.#apply({ type: "worn", id: member.id, reason: "command" });
    this.#reconcile();
    return true;
  }

  /**
   * Changes the memory limit of a worker; 0: none. Running workers keep the lower limit of the two: the bound
   * of their heap cannot be raised.
   */
  limitMemory(bytes: number): void {
    this.#memoryLimitBytes = bytes;
  }

  /** Drains all workers, and kills them after the grace. Resolves when all are gone. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  /** Kills all workers. Resolves when all are gone. */
  destroy(): Promise<void> {
    return this.#end((worker) => worker.kill());
  }

  async #close(graceMs: number): Promise<void> {
    // Workers that drain already have a grace of their own, which may be longer.
    const cutOff = setTimeout(this.#killAll, graceMs);
    await this.#end((worker) => worker.drain(graceMs));
    clearTimeout(cutOff);
  }

  async #end(how: (worker: WorkerProcess) => void): Promise<void> {
    this.#ending = true;
    clearTimeout(this.#waiting);
    clearInterval(this.#inspecting);
    const { workers } = this;
    for (const worker of workers) how(worker);
    await Promise.all(workers.map(({ exited }) => exited));
    if (process.listeners("exit").includes(this.#killAll)) {
      process.off("exit", this.#killAll);
      process.setMaxListeners(process.getMaxListeners() - 1);
    }
    this.#reaper?.close();
    this.#reaper = null;
  }

  readonly #killAll = (): void => {
    for (const worker of this.workers) worker.kill();
  };

  #apply(event: PoolEvent): void {
    this.#state = advance(this.#state, event);
  }

  #reconcile(): void {
    clearTimeout(this.#waiting);
    // A start that fails leaves a vacancy to wait for.
    for (let isSettled = false; !isSettled && !this.#ending;) {
      isSettled = true;
      for (const action of reconcile(this.#state, this.#desired, performance.now())) {
        if (action.type !== "wait") isSettled = false;
        this.#carryOut(action);
        if (this.#ending) break;
      }
    }
    this.#updateReaper();
    if (!this.#ending) this.#reportHealth();
  }

  #carryOut(action: Action): void {
    switch (action.type) {
      case "start":
        this.#fork(action.vacancy);
        return;
      case "retire":
        this.#retire(action.id, action.reason);
        return;
      case "kill":
        this.#apply({ type: "retired", id: action.id });
        this.#processes.get(action.id)?.kill();
        return;
      case "forget":
        this.#apply({ type: "forgotten", vacancy: action.vacancy });
        return;
      case "wait": {
        const ms = Math.max(1, action.untilMs - performance.now());
        this.#waiting = setTimeout(() => this.#reconcile(), ms);
        return;
      }
      default:
        assertNever(action);
    }
  }

  #updateReaper(): void {
    this.#reaper?.watch(this.workers.map(({ pid }) => pid));
  }

  #reportHealth(): void {
    const down = isDown(this.#state);
    if (down === this.#isDown) return;
    this.#isDown = down;
    if (down) this.#log.error("no worker can boot: the pool is down until one can");
    else this.#log.info("a worker serves: the pool is up again");
    this.#options.onDown(down);
  }

  #fork(vacancy: Vacancy | null): void {
    const workerId = this.#options.nextWorkerId();
    const limitBytes = this.#memoryLimitBytes;
    let worker: WorkerProcess;
    try {
      worker = new WorkerProcess({
        log: this.#log,
        oomKills: this.#options.oomKills,
        settings: { ...this.#options.settings, workerId },
        ...(this.#options.traffic !== undefined && { traffic: this.#options.traffic }),
        variables: this.#options.variables,
        bootTimeoutMs: this.#options.bootTimeoutMs,
        heapLimitBytes: pickHeapBound(limitBytes, this.#options.recycle.heapBytes),
        onReady: (ready, report) => this.#onReady(ready, report),
        onBootFailed: (failed, failure) => this.#onBootFailed(failed, failure),
        onPong: (alive, number) => {
          this.#options.oomKills.look(performance.now());
          this.#heartbeat.onPong(alive, number);
        },
        onNotice: this.#options.onNotice,
        onUnreachable: (unreachable) => {
          this.#heartbeat.forget(unreachable);
          this.#options.onUnreachable(unreachable);
        },
        onPurge: this.#options.onPurge,
        onFailed: this.#options.onFailed,
        onCache: this.#options.onCache,
        onCall: this.#options.onCall,
        onSocketActs: this.#options.onSocketActs,
        onLost: this.#options.onLost,
        onExit: (exited, exit) => this.#onExit(exited, exit),
      });
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      this.#onForkFailed(vacancy, error);
      return;
    }
    this.#processes.set(workerId, worker);
    this.#startedUnder.set(workerId, limitBytes);
    this.#apply({ type: "started", id: workerId, vacancy });
    this.#log.debug({ workerId, workerPid: worker.pid }, "worker starting");
  }

  #retire(id: WorkerId, reason: RetireReason): void {
    this.#apply({ type: "retired", id });
    const worker = this.#processes.get(id);
    // A worker that was given up and has not gone yet gets no message.
    if (worker === undefined || worker.channel.closed) return;
    this.#log.info({ workerId: id, workerPid: worker.pid, reason }, "worker retires");
    this.#options.onRetire(worker, reason);
    worker.drain(this.#options.retireGraceMs, { withNotice: true });
  }

  #onReady(worker: WorkerProcess, report: WorkerReport): void {
    // The worker may have been retired while this message was on its way.
    if (this.#ending || this.#memberOf(worker)?.kind !== "starting") return;
    this.#apply({ type: "ready", id: worker.id });
    const rssBytes = readRssBytes(worker.pid);
    worker.noteRss(rssBytes);
    const gauge = new WorkerGauge(worker.pid, {
      rssBytes,
      nowMs: performance.now(),
    });
    this.#gauges.set(worker.id, gauge);
    this.#log.info({ workerId: worker.id, workerPid: worker.pid }, "worker ready");
    this.#options.onReady(worker, report);
    this.#heartbeat.watch(worker);
    if (this.ready >= this.#desired) this.#booted?.resolve();
    this.#reconcile();
  }

  #onBootFailed(worker: WorkerProcess, { code, message }: BootFailure): void {
    this.#failure = new RuntimeError("ERR_HANDLER_LOAD", message);
    this.#failedBoot = worker.id;
    // At the first start the caller reports it.
    if (this.#booted === null) this.#log.error({ workerId: worker.id, code }, message);
  }

  #onForkFailed(vacancy: Vacancy | null, error: RuntimeError): void {
    if (this.#booted !== null) {
      this.#failBoot(error);
      return;
    }
    const nowMs = performance.now();
    this.#apply({ type: "not-started", vacancy, nowMs });
    const restartInMs = this.#lastRestartInMs(nowMs);
    this.#log.error({ err: error, code: error.code, restartInMs }, "cannot fork a worker");
  }

  #onExit(worker: WorkerProcess, exit: WorkerExit): void {
    const member = this.#memberOf(worker);
    const nowMs = performance.now();
    this.#processes.delete(worker.id);
    this.#gauges.delete(worker.id);
    this.#startedUnder.delete(worker.id);
    this.#apply({ type: "exited", id: worker.id, life: exit, nowMs });
    const { code, signal, cause, isOomKill } = exit;
    const memory = isOomKill && { oomKilled: true, rssBytes: worker.rssBytes };
    const fields = { workerId: worker.id, workerPid: worker.pid, code, signal, cause, ...memory };
    const why = isOomKill ? `: ${OOM_KILL}` : "";
    if (this.#ending) {
      this.#updateReaper();
      this.#log[isOomKill ? "error" : "debug"](fields, `worker exited${why}`);
    } else if (member?.kind === "draining") {
      this.#log[isOomKill ? "error" : "info"](fields, `worker exited${why}`);
    } else if (this.#booted !== null) {
      this.#failBoot(this.#failure ?? this.#bootError(exit));
    } else {
      const restartInMs = this.#lastRestartInMs(nowMs);
      const stack = exit.readyForMs === null ? [] : exit.stack.map(toText);
      const crash = stack.length > 0 && { stack };
      this.#log.error({ ...fields, restartInMs, ...crash }, `worker exited, replacing it${why}`);
      // The worker has not reported a reason itself.
      if (exit.readyForMs === null && this.#failedBoot !== worker.id) {
        const { code: errorCode, message } = this.#bootError(exit);
        this.#log.error({ workerId: worker.id, code: errorCode }, message);
      }
    }
    this.#reconcile();
  }

  /** Starts no more workers; `start` ends the others. */
  #failBoot(error: RuntimeError): void {
    this.#ending = true;
    this.#booted?.reject(error);
  }

  #memberOf({ id }: WorkerProcess): Member | undefined {
    return this.#state.members.find((member) => member.id === id);
  }

  /** Returns how long the newest vacancy has to wait. */
  #lastRestartInMs(nowMs: number): number {
    return Math.round((this.#state.vacancies.at(-1)?.notBeforeMs ?? nowMs) - nowMs);
  }

  /** Kills workers that are too large, notes worn ones, and adapts the number of workers. */
  #inspect(nowMs: number): void {
    let utilization = 0;
    const isScaling = this.#bounds.most > this.#bounds.least;
    for (const member of this.#state.members) {
      const worker = this.#processes.get(member.id);
      if (worker === undefined) continue;
      const memoryBytes = pickMemoryLimit(
        this.#startedUnder.get(member.id) ?? 0,
        this.#memoryLimitBytes,
      );
      const rssBytes = memoryBytes === 0 ? null : readRssBytes(worker.pid);
      worker.noteRss(rssBytes);
      if (rssBytes !== null) this.#endIfTooLarge(worker, { rssBytes, memoryBytes });
      const gauge = this.#gauges.get(member.id);
      if (member.kind !== "ready" || gauge === undefined) continue;
      const heapUsedBytes = worker.vitals?.heapUsedBytes ?? null;
      const measured = { rssBytes, heapUsedBytes, nowMs };
      const facts = gauge.facts(this.#options.loadOf(worker), measured);
      const reason = pickRecycleReason({ ...this.#options.recycle, memoryBytes }, facts);
      if (reason !== null) this.#apply({ type: "worn", id: member.id, reason });
      if (isScaling) utilization += gauge.utilization(nowMs);
    }
    if (isScaling) this.#rescale(utilization, nowMs);
    this.#reconcile();
  }

  #endIfTooLarge(
    worker: WorkerProcess,
    { rssBytes, memoryBytes }: { rssBytes: number; memoryBytes: number },
  ): void {
    const limitBytes = toMemoryBounds(memoryBytes).killBytes;
    if (rssBytes <= limitBytes || worker.channel.closed) return;
    const { id: workerId, pid: workerPid } = worker;
    const fields = { workerId, workerPid, rssBytes, limitBytes, setting: "workerMemoryLimit" };
    this.#log.error(fields, "worker uses too much memory: killing it");
    const error = new RuntimeError(
      worker.state.kind === "starting" ? "ERR_BOOT_LOOP" : "ERR_WORKER_EXITED",
      `Cannot keep a worker: it uses ${mib(rssBytes)} MiB${worker.state.kind === "starting" && worker.loading !== null ? ` while it loads ${worker.loading}` : ""}, expected at most ${mib(limitBytes)} MiB (half above workerMemoryLimit)`,
    );
    if (worker.state.kind === "starting") this.#failure = error;
    worker.giveUp("crashed", error);
  }

  /** @param busy Utilization of all ready workers together. */
  #rescale(busy: number, nowMs: number): void {
    const { ready } = this;
    const queueAgeMs = this.#options.queueAgeMs(nowMs);
    const before = this.#desired;
    const utilization = ready === 0 ? 0 : busy / ready;
    const sample = { desired: before, ready, utilization, queueAgeMs };
    const { desired, state } = decideScale(this.#scale, sample, { ...this.#bounds, nowMs });
    this.#scale = state;
    this.#desired = desired;
    if (desired === before) return;
    this.#log.info({ workers: desired, before, utilization, queueAgeMs }, "pool changes its size");
  }

  #bootError(exit: WorkerExit): RuntimeError {
    const { bootTimeoutMs } = this.#options;
    const isOverdue = exit.cause === "hung";
    return new RuntimeError(
      exit.loading === null ? "ERR_BOOT_LOOP" : "ERR_HANDLER_LOAD",
      describeBootLoss({ ...exit, isOverdue }, { bootTimeoutMs }),
    );
  }
}

function toText({ name, position }: StackFrame): string {
  if (position === null) return name ?? "";
  return `${name ?? "(anonymous)"} (${position.file}:${position.line})`;
}

function mib(bytes: number): number {
  return Math.round(bytes / 1024 / 1024);
}

import type {
  BootFailure,
  ExchangeMessage,
  WorkerId,
  WorkerReport,
  WorkerSettings,
} from "../channel/messages.ts";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { canInspectWorkers } from "./fork-worker.ts";
import { Heartbeat, type HeartbeatOptions } from "./heartbeat.ts";
import type { LossCause } from "./loss-cause.ts";
import { OomKills } from "./oom-kills.ts";
import { Reaper } from "./reaper.ts";
import { countFailedBoots, type Life, restartDelayMs } from "./restart-policy.ts";
import { WorkerProcess, type WorkerExit } from "./worker-process.ts";

export interface PoolOptions {
  log: Logger;
  /** How many workers there should be, at least 1. */
  workers: number;
  settings: Omit<WorkerSettings, "workerId">;
  nextWorkerId: () => WorkerId;
  bootTimeoutMs: number;
  onReady: (worker: WorkerProcess, report: WorkerReport) => void;
  onMessage: (worker: WorkerProcess, message: ExchangeMessage) => void;
  onUnreachable: (worker: WorkerProcess) => void;
  onLost: (worker: WorkerProcess, error: RuntimeError, cause: LossCause) => void;
  heartbeat: Omit<HeartbeatOptions<WorkerProcess>, "log" | "canInspect">;
}

/** The place of one worker: it is there, or it will be when the wait is over. */
interface Slot {
  worker: WorkerProcess | null;
  /** How many in a row could not boot here. */
  failedBoots: number;
  restart: NodeJS.Timeout | null;
}

/**
 * Keeps as many workers of one generation as are desired.
 *
 * Every change, a worker's exit or a restart that has waited long enough, ends in one `#reconcile`, which fills the
 * slots that have no worker and wait for nothing. Each slot waits for itself: one that cannot boot does not keep the
 * others from being replaced at once. Once the pool ends, no slot is filled any more.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #log: Logger;
  readonly #slots: readonly Slot[];
  readonly #oomKills = new OomKills();
  readonly #heartbeat: Heartbeat<WorkerProcess>;
  #ending = false;
  #reaper: Reaper | null = null;
  #failure: BootFailure | null = null;
  #closing: Promise<void> | null = null;
  #booted: { resolve: () => void; reject: (error: RuntimeError) => void } | null = null;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#heartbeat = new Heartbeat({
      ...options.heartbeat,
      log: options.log,
      canInspect: canInspectWorkers(),
    });
    this.#slots = Array.from({ length: options.workers }, () => ({
      worker: null,
      failedBoots: 0,
      restart: null,
    }));
  }

  get workers(): WorkerProcess[] {
    return this.#slots.flatMap(({ worker }) => (worker === null ? [] : [worker]));
  }

  /**
   * Starts the workers and waits until all are ready for the first time.
   *
   * @throws RuntimeError `ERR_HANDLER_LOAD` or `ERR_BOOT_LOOP` as soon as one cannot boot: what fails now would fail
   * for ever. All workers are gone by then.
   */
  async start(): Promise<void> {
    const booted = new Promise<void>((resolve, reject) => {
      this.#booted = { resolve, reject };
    });
    // A worker whose loop is blocked does not see its channel end. However this process exits, it takes them along.
    process.on("exit", this.#killAll);
    this.#reconcile();
    this.#reaper = new Reaper(this.#log);
    this.#tellReaper();
    try {
      await booted;
    } catch (error) {
      this.#booted = null;
      await this.destroy();
      throw error;
    }
    this.#booted = null;
  }

  /** Drains all workers; those that take longer than the grace are killed. Resolves when all are gone. */
  close(graceMs: number): Promise<void> {
    this.#closing ??= this.#end((worker) => worker.drain(graceMs));
    return this.#closing;
  }

  /** Kills all workers. Resolves when all are gone. */
  destroy(): Promise<void> {
    return this.#end((worker) => worker.kill());
  }

  async #end(how: (worker: WorkerProcess) => void): Promise<void> {
    this.#ending = true;
    for (const slot of this.#slots) clearTimeout(slot.restart ?? undefined);
    const { workers } = this;
    for (const worker of workers) how(worker);
    await Promise.all(workers.map(({ exited }) => exited));
    process.off("exit", this.#killAll);
    this.#reaper?.close();
    this.#reaper = null;
  }

  readonly #killAll = (): void => {
    for (const worker of this.workers) worker.kill();
  };

  #reconcile(): void {
    if (this.#ending) return;
    for (const slot of this.#slots) {
      if (slot.worker === null && slot.restart === null) this.#fork(slot);
    }
    this.#tellReaper();
  }

  #tellReaper(): void {
    this.#reaper?.watch(this.workers.map(({ pid }) => pid));
  }

  #fork(slot: Slot): void {
    const workerId = this.#options.nextWorkerId();
    try {
      slot.worker = new WorkerProcess({
        log: this.#log,
        oomKills: this.#oomKills,
        settings: { ...this.#options.settings, workerId },
        bootTimeoutMs: this.#options.bootTimeoutMs,
        onReady: (ready, report) => this.#onReady(ready, report),
        onBootFailed: (failed, failure) => this.#onBootFailed(failed, failure),
        onMessage: this.#options.onMessage,
        onPong: (worker, number) => this.#heartbeat.hear(worker, number),
        onUnreachable: (unreachable) => {
          this.#heartbeat.forget(unreachable);
          this.#options.onUnreachable(unreachable);
        },
        onLost: this.#options.onLost,
        onExit: (exited, exit) => this.#onExit(slot, exited, exit),
      });
    } catch (error) {
      if (!(error instanceof RuntimeError)) throw error;
      this.#onForkFailed(slot, error);
      return;
    }
    this.#log.debug({ workerId, workerPid: slot.worker.pid }, "worker starting");
  }

  #onReady(worker: WorkerProcess, report: WorkerReport): void {
    this.#log.info({ workerId: worker.id, workerPid: worker.pid }, "worker ready");
    this.#options.onReady(worker, report);
    this.#heartbeat.watch(worker);
    if (this.#slots.every((slot) => slot.worker?.state.kind === "ready")) this.#booted?.resolve();
  }

  #onBootFailed(worker: WorkerProcess, failure: BootFailure): void {
    this.#failure = failure;
    // At the first start the caller reports it.
    if (this.#booted === null) {
      this.#log.error({ workerId: worker.id, code: failure.code }, failure.message);
    }
  }

  #onForkFailed(slot: Slot, error: RuntimeError): void {
    if (this.#booted !== null) {
      this.#booted.reject(error);
      return;
    }
    const restartInMs = this.#scheduleRestart(slot, { readyForMs: null });
    this.#log.error({ err: error, code: error.code, restartInMs }, "cannot fork a worker");
  }

  #onExit(slot: Slot, worker: WorkerProcess, exit: WorkerExit): void {
    slot.worker = null;
    this.#tellReaper();
    const { code, signal, cause } = exit;
    const fields = { workerId: worker.id, workerPid: worker.pid, code, signal, cause };
    if (this.#ending) {
      this.#log.debug(fields, "worker exited");
      return;
    }
    if (this.#booted !== null) {
      this.#booted.reject(this.#bootError(exit));
      return;
    }
    const restartInMs = this.#scheduleRestart(slot, exit);
    this.#log.error({ ...fields, restartInMs }, "worker exited, replacing it");
    this.#reconcile();
  }

  /** Makes an empty slot wait as long as its last life asks for. Returns for how long, in ms. */
  #scheduleRestart(slot: Slot, life: Life): number {
    slot.failedBoots = countFailedBoots(slot.failedBoots, life);
    const delayMs = restartDelayMs(slot.failedBoots, life);
    if (delayMs > 0) {
      slot.restart = setTimeout(() => {
        slot.restart = null;
        this.#reconcile();
      }, delayMs);
    }
    return delayMs;
  }

  #bootError(exit: WorkerExit): RuntimeError {
    if (this.#failure !== null) {
      return new RuntimeError("ERR_HANDLER_LOAD", this.#failure.message);
    }
    const how = exit.signal === null ? `code ${exit.code}` : `signal ${exit.signal}`;
    return new RuntimeError(
      "ERR_BOOT_LOOP",
      `Cannot start a worker: it exited with ${how} before it was ready (within ${this.#options.bootTimeoutMs} ms), expected it to load all handlers`,
    );
  }
}

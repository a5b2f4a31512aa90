import type {
  BootFailure,
  ExchangeMessage,
  WorkerId,
  WorkerReport,
  WorkerSettings,
} from "../channel/messages.ts";
import { RuntimeError } from "../errors.ts";
import type { Logger } from "../log.ts";
import { countFailedBoots, restartDelayMs } from "./restart-policy.ts";
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
  onLost: (worker: WorkerProcess, error: RuntimeError) => void;
}

/**
 * Keeps as many workers of one generation as are desired.
 *
 * Every change, a worker's exit or a restart that has waited long enough, ends in one `#reconcile`, which compares
 * what is with what should be. Once it closes, nothing is desired any more.
 */
export class Pool {
  readonly #options: PoolOptions;
  readonly #log: Logger;
  readonly #workers = new Map<WorkerId, WorkerProcess>();
  #desired: number;
  #failedBoots = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #failure: BootFailure | null = null;
  #closing: Promise<void> | null = null;
  #booted: { resolve: () => void; reject: (error: RuntimeError) => void } | null = null;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#desired = options.workers;
  }

  get workers(): WorkerProcess[] {
    return [...this.#workers.values()];
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
    this.#reconcile();
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
    this.#desired = 0;
    clearTimeout(this.#restartTimer);
    const exits = this.workers.map((worker) => worker.exited);
    for (const worker of this.#workers.values()) how(worker);
    await Promise.all(exits);
  }

  #reconcile(): void {
    this.#restartTimer = undefined;
    while (this.#workers.size < this.#desired) this.#fork();
  }

  #fork(): void {
    const workerId = this.#options.nextWorkerId();
    const worker = new WorkerProcess({
      settings: { ...this.#options.settings, workerId },
      bootTimeoutMs: this.#options.bootTimeoutMs,
      onReady: (ready, report) => this.#onReady(ready, report),
      onBootFailed: (failed, failure) => this.#onBootFailed(failed, failure),
      onMessage: this.#options.onMessage,
      onLost: this.#options.onLost,
      onExit: (exited, exit) => this.#onExit(exited, exit),
    });
    this.#workers.set(workerId, worker);
    this.#log.debug({ workerId, workerPid: worker.pid }, "worker starting");
  }

  #onReady(worker: WorkerProcess, report: WorkerReport): void {
    this.#log.info({ workerId: worker.id, workerPid: worker.pid }, "worker ready");
    this.#options.onReady(worker, report);
    if (this.#booted !== null && this.workers.every(({ state }) => state.kind === "ready")) {
      this.#booted.resolve();
    }
  }

  #onBootFailed(worker: WorkerProcess, failure: BootFailure): void {
    this.#failure = failure;
    // At the first start the caller reports it.
    if (this.#booted === null) {
      this.#log.error({ workerId: worker.id, code: failure.code }, failure.message);
    }
  }

  #onExit(worker: WorkerProcess, exit: WorkerExit): void {
    this.#workers.delete(worker.id);
    const { code, signal } = exit;
    const fields = { workerId: worker.id, workerPid: worker.pid, code, signal };
    if (this.#desired === 0) {
      this.#log.debug(fields, "worker exited");
      return;
    }
    if (this.#booted !== null) {
      this.#booted.reject(this.#bootError(exit));
      return;
    }
    this.#failedBoots = countFailedBoots(this.#failedBoots, exit);
    const delayMs = restartDelayMs(this.#failedBoots, exit);
    this.#log.error({ ...fields, restartInMs: delayMs }, "worker exited, replacing it");
    if (delayMs === 0) this.#reconcile();
    else this.#restartTimer ??= setTimeout(() => this.#reconcile(), delayMs);
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

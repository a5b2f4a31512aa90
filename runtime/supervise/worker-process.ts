import type { Worker } from "node:cluster";
import { Channel } from "../channel/channel.ts";
import type {
  BootFailure,
  ExchangeMessage,
  ToPrimary,
  ToWorker,
  WorkerId,
  WorkerReport,
  WorkerSettings,
} from "../channel/messages.ts";
import { Kind, MAX_FRAME_BYTES, PROTOCOL_VERSION } from "../channel/messages.ts";
import { parseToPrimary } from "../channel/parse.ts";
import { RuntimeError, assertNever } from "../errors.ts";
import type { Logger } from "../log.ts";
import { forkWorker } from "./fork-worker.ts";
import { transition, type WorkerState } from "./worker-state.ts";

/** A worker that could not boot has nothing to finish but to flush what it printed. */
const BOOT_FAILED_GRACE_MS = 1_000;

/** How long after its exit what it had sent is still read: it is there already, unless somebody else holds its end. */
const READ_AFTER_EXIT_MS = 250;

export interface WorkerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** How long it was ready; `null` when it never was. */
  readyForMs: number | null;
}

export interface WorkerProcessOptions {
  log: Logger;
  settings: WorkerSettings;
  /** Longest time from the fork to `ready`; then it is killed. */
  bootTimeoutMs: number;
  onReady: (worker: WorkerProcess, report: WorkerReport) => void;
  onBootFailed: (worker: WorkerProcess, failure: BootFailure) => void;
  onMessage: (worker: WorkerProcess, message: ExchangeMessage) => void;
  /** The channel closed: all that it sent was read, and nothing more will be answered. Once. */
  onLost: (worker: WorkerProcess, error: RuntimeError) => void;
  /** The process is gone. Once, after `onLost`. */
  onExit: (worker: WorkerProcess, exit: WorkerExit) => void;
}

/** One forked worker, from its start to its exit. */
export class WorkerProcess {
  readonly id: WorkerId;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** Settles with the exit, and never rejects. */
  readonly exited: Promise<WorkerExit>;
  readonly #worker: Worker;
  readonly #options: WorkerProcessOptions;
  #state: WorkerState;
  #timer: NodeJS.Timeout | undefined;
  #lost = false;
  #readyAtMs: number | null = null;
  /** Known once the process is gone; it is told when its channel was read to the end. */
  #exit: WorkerExit | null = null;
  #onExited: (exit: WorkerExit) => void = () => {};
  /** What a message is for: the first is the worker's hello. */
  #receive: (message: ToPrimary) => void = (message) => this.#greet(message);

  /** @throws RuntimeError `ERR_BOOT_LOOP` when the system makes no process. */
  constructor(options: WorkerProcessOptions) {
    this.id = options.settings.workerId;
    this.#options = options;
    this.#state = { kind: "starting", sinceMs: performance.now() };
    // Libraries choose their production build by it, React among them.
    const { worker, socket } = forkWorker({
      NODE_ENV: process.env["NODE_ENV"] ?? options.settings.mode,
    });
    this.#worker = worker;
    this.channel = new Channel(socket, {
      maxFrameBytes: MAX_FRAME_BYTES,
      parse: parseToPrimary,
      onMessage: (message) => this.#receiveSafely(message),
      onClose: (error) => this.#onChannelClosed(error),
    });
    this.exited = new Promise((resolve) => {
      this.#onExited = resolve;
    });
    this.#worker.once("exit", (code: number | null, signal: string | null) => {
      // Node names signals as its own types do.
      this.#onProcessExit(code, signal as NodeJS.Signals | null);
    });
    this.#killAfter(options.bootTimeoutMs);
    this.channel.send([Kind.hello, PROTOCOL_VERSION, options.settings]);
  }

  get pid(): number {
    return this.#worker.process.pid ?? 0;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** Lets it finish what it has, then end; killed when that takes longer than the grace. */
  drain(graceMs: number): void {
    if (this.#state.kind === "draining" || this.#state.kind === "exited") return;
    this.#state = transition(this.#state, {
      type: "drain",
      deadlineMs: performance.now() + graceMs,
    });
    this.#killAfter(graceMs);
    this.channel.send([Kind.drain, graceMs]);
  }

  /** Ends it at once. A worker never traps this, even when it is stopped or its loop is blocked. */
  kill(): void {
    this.#worker.process.kill("SIGKILL");
  }

  #killAfter(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.kill(), ms);
  }

  /** A bug of ours in one message costs this worker, not this process. */
  #receiveSafely(message: ToPrimary): void {
    try {
      this.#receive(message);
    } catch (error) {
      if (error instanceof RuntimeError && error.code === "ERR_PROTOCOL") throw error;
      this.#options.log.error({ err: error, workerId: this.id }, "message of a worker failed: bug");
      this.channel.destroy(
        new RuntimeError("ERR_CHANNEL_CLOSED", "Channel given up", { cause: error }),
      );
    }
  }

  #greet(message: ToPrimary): void {
    if (message[0] !== Kind.workerHello) {
      throw new RuntimeError(
        "ERR_PROTOCOL",
        `Cannot start a worker: found a message of kind ${message[0]}, expected its hello`,
      );
    }
    this.#receive = (next) => this.#take(next);
  }

  #take(message: ToPrimary): void {
    switch (message[0]) {
      case Kind.response:
      case Kind.responseChunk:
      case Kind.responseEnd:
      case Kind.responseAbort:
      case Kind.requestCredit:
      case Kind.settled:
      case Kind.probed:
        this.#options.onMessage(this, message);
        return;
      case Kind.workerHello:
        throw new RuntimeError("ERR_PROTOCOL", "Cannot greet a worker twice");
      case Kind.ready:
        this.#onReady(message[1]);
        return;
      case Kind.bootFailed:
        this.#options.onBootFailed(this, message[1]);
        this.drain(BOOT_FAILED_GRACE_MS);
        return;
      case Kind.drained:
        // All its exchanges are answered: the end of the channel is its sign to exit.
        if (this.#state.kind === "draining") this.channel.close();
        return;
      default:
        assertNever(message);
    }
  }

  #onReady(report: WorkerReport): void {
    if (this.#state.kind !== "starting") return;
    this.#state = transition(this.#state, { type: "ready", nowMs: performance.now() });
    this.#readyAtMs = performance.now();
    clearTimeout(this.#timer);
    this.#options.onReady(this, report);
  }

  #onChannelClosed(error: RuntimeError | null): void {
    if (error?.code === "ERR_PROTOCOL") {
      const { id: workerId } = this;
      this.#options.log.error({ err: error, workerId }, "worker broke the protocol, killing it");
    }
    const exit = this.#exit;
    if (exit !== null) {
      this.#finish(exit);
      return;
    }
    this.#lose(error ?? new RuntimeError("ERR_CHANNEL_CLOSED", "Channel ended"));
    // Without its channel a worker is of no use, whatever it still does.
    if (this.#state.kind !== "draining" || error !== null) this.kill();
  }

  /** The process is gone, but answers of it may wait in the channel: they are read to their end first. */
  #onProcessExit(code: number | null, signal: NodeJS.Signals | null): void {
    clearTimeout(this.#timer);
    this.#state = transition(this.#state, { type: "exit", code, signal });
    const readyForMs = this.#readyAtMs === null ? null : performance.now() - this.#readyAtMs;
    const exit = { code, signal, readyForMs };
    this.#exit = exit;
    if (this.channel.closed) {
      this.#finish(exit);
      return;
    }
    const giveUp = new RuntimeError("ERR_WORKER_EXITED", "Worker exited");
    this.#timer = setTimeout(() => this.channel.destroy(giveUp), READ_AFTER_EXIT_MS);
  }

  #finish(exit: WorkerExit): void {
    clearTimeout(this.#timer);
    const how = exit.signal ?? `code ${exit.code}`;
    this.#lose(new RuntimeError("ERR_WORKER_EXITED", `Worker exited with ${how}`));
    this.#options.onExit(this, exit);
    this.#onExited(exit);
  }

  #lose(error: RuntimeError): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#options.onLost(this, error);
  }
}

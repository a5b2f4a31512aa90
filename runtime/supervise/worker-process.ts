import type { Worker } from "node:cluster";
import { Channel } from "../channel/channel.ts";
import type {
  BootFailure,
  ExchangeMessage,
  PingNumber,
  ToPrimary,
  ToWorker,
  Vitals,
  WorkerId,
  WorkerReport,
  WorkerSettings,
} from "../channel/messages.ts";
import { Kind, MAX_FRAME_BYTES, PROTOCOL_VERSION } from "../channel/messages.ts";
import { parseToPrimary } from "../channel/parse.ts";
import { RuntimeError, assertNever } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import type { StackFrame } from "../lib/stack-frames.ts";
import { examine } from "./hang/examine.ts";
import { canInspectWorkers, forkWorker } from "./fork-worker.ts";
import { classifyLoss, type LossCause, type ProcessExit } from "./loss-cause.ts";
import type { OomKills } from "./oom-kills.ts";
import { transition, type WorkerState } from "./worker-state.ts";

/** A worker that could not boot only has to flush its output. */
const BOOT_FAILED_GRACE_MS = 1_000;

/** Longest that a worker lives on after its boot timeout, while the primary finds out where it is blocked. */
const EXAMINE_MS = 1_000;

/** A worker that loads one file for longer is mentioned in the log. */
const SLOW_LOADING_MS = 5_000;

/**
 * How long the channel is read after the exit. All bytes are there already, unless another process holds the worker's
 * end.
 */
const READ_AFTER_EXIT_MS = 250;

/** How long the exit may take after the end of the channel. It is immediate, unless the worker closed the channel. */
const EXIT_AFTER_END_MS = 1_000;

export interface WorkerExit extends ProcessExit {
  /** How long it was ready; `null` when it never was. */
  readyForMs: number | null;
  cause: LossCause;
  /** The file of the handlers that it loaded last, by its own account. */
  loading: string | null;
  /** It ran `init` of that file, not its top level. */
  isInit: boolean;
  /** Where it was blocked when its boot timeout ended; empty: not known. */
  stack: readonly StackFrame[];
}

export interface WorkerProcessOptions {
  log: Logger;
  /** Shared by all workers that are counted together. */
  oomKills: OomKills;
  settings: WorkerSettings;
  /** Added to the environment of this process. */
  variables: Readonly<Record<string, string>>;
  /** Longest time from the fork to `ready`; after it the worker is killed. */
  bootTimeoutMs: number;
  /** The largest heap of its objects; `null`: Node's default. */
  heapLimitBytes: number | null;
  /** Its owner sets `worker.onExchange` in this call. */
  onReady: (worker: WorkerProcess, report: WorkerReport) => void;
  onBootFailed: (worker: WorkerProcess, failure: BootFailure) => void;
  onPong: (worker: WorkerProcess, number: PingNumber) => void;
  /** The worker gets no more messages. Its last ones may still be read, and the cause is not known yet. Called once. */
  onUnreachable: (worker: WorkerProcess) => void;
  /** All its messages were read, and no more answers come. Called once, after `onUnreachable`. */
  onLost: (worker: WorkerProcess, error: RuntimeError, cause: LossCause) => void;
  /** The process is gone. Called once, after `onLost`. */
  onExit: (worker: WorkerProcess, exit: WorkerExit) => void;
}

/**
 * One forked worker, from its start to its exit.
 *
 *     reachable ──channel ends──▶ unreachable ──exits, or not in time──▶ lost ──▶ exited
 *         ├──exits──▶ unreachable ──channel read to its end, or not in time──▶ lost, exited
 *         └──given up, drained, breaks the protocol──▶ unreachable, lost ──▶ exited
 *
 * The cause of a loss shows only at the end of the process. So the worker is lost once that is known: by its exit, or
 * because the primary ended it.
 */
export class WorkerProcess {
  readonly id: WorkerId;
  readonly channel: Channel<ToPrimary, ToWorker>;
  /** Settles with the exit, and never rejects. */
  readonly exited: Promise<WorkerExit>;
  /** Receives its messages about exchanges, from the moment when it is ready. */
  onExchange: (message: ExchangeMessage) => void = () => {
    throw new RuntimeError("ERR_PROTOCOL", "Cannot take an answer: the worker is not ready");
  };
  readonly #worker: Worker;
  readonly #options: WorkerProcessOptions;
  #state: WorkerState;
  #vitals: Vitals | null = null;
  #loading: string | null = null;
  #isInit = false;
  /** The file whose `dispose` it runs; `null`: none, or it has drained. */
  #disposing: string | null = null;
  #slow: NodeJS.Timeout | undefined;
  #stack: readonly StackFrame[] = [];
  #timer: NodeJS.Timeout | undefined;
  #reachable = true;
  #lost = false;
  /** Why the primary ended it, if it did. */
  #endedAs: LossCause | null = null;
  #readyAtMs: number | null = null;
  /** Set once the process is gone. Passed on when its channel was read to the end. */
  #exit: WorkerExit | null = null;
  #onExited: (exit: WorkerExit) => void = () => {};
  /** Handles the next message: the first one is the worker's hello. */
  #receive: (message: ToPrimary) => void = (message) => this.#greet(message);

  /** @throws RuntimeError `ERR_BOOT_LOOP` when the system creates no process. */
  constructor(options: WorkerProcessOptions) {
    this.id = options.settings.workerId;
    this.#options = options;
    this.#state = { kind: "starting", sinceMs: performance.now() };
    // Libraries choose their production build by it, React among them.
    const { settings, variables } = options;
    const env = { NODE_ENV: process.env["NODE_ENV"] ?? settings.mode, ...variables };
    const { worker, socket } = forkWorker(env, options);
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
    this.#timer = setTimeout(() => void this.#giveUpBoot(), options.bootTimeoutMs);
    this.channel.send([Kind.hello, PROTOCOL_VERSION, options.settings]);
  }

  get pid(): number {
    return this.#worker.process.pid ?? 0;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** The file of the handlers that it loads, or loaded last; `null`: none yet. */
  get loading(): string | null {
    return this.#loading;
  }

  /** Its measurements at its last pong; `null` before the first. */
  get vitals(): Vitals | null {
    return this.#vitals;
  }

  /** Lets it finish its exchanges, then end. Kills it when that takes longer than the grace. */
  drain(graceMs: number): void {
    if (this.#state.kind === "draining" || this.#state.kind === "exited") return;
    this.#state = transition(this.#state, {
      type: "drain",
      deadlineMs: performance.now() + graceMs,
    });
    this.#killAfter(graceMs, "retired");
    this.channel.send([Kind.drain, graceMs]);
  }

  /** Ends it at once. A worker cannot ignore this, even when it is stopped or its event loop is blocked. */
  kill(): void {
    this.#killAs("retired");
  }

  /**
   * Ends it at once because it is useless. Its exchanges in flight are lost now, for this cause. The first cause
   * counts.
   */
  giveUp(cause: LossCause, error: RuntimeError): void {
    if (this.#exit !== null) return;
    this.#endedAs ??= cause;
    if (this.channel.closed) this.#onChannelClosed(error);
    else this.channel.destroy(error);
  }

  #killAs(cause: LossCause): void {
    this.#endedAs ??= cause;
    this.#worker.process.kill("SIGKILL");
  }

  /** Examines the worker before killing it: a dead process cannot show where it was blocked. */
  async #giveUpBoot(): Promise<void> {
    const signal = AbortSignal.timeout(EXAMINE_MS);
    const canInspect = this.#loading !== null && canInspectWorkers();
    const { stack } = await examine(this.pid, { signal, canInspect });
    if (this.#state.kind !== "starting") return;
    this.#stack = stack;
    this.#killAs("hung");
  }

  #killAfter(ms: number, cause: LossCause): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#killAs(cause), ms);
  }

  /** A bug of the primary in one message costs this worker, not the primary. */
  #receiveSafely(message: ToPrimary): void {
    try {
      this.#receive(message);
    } catch (error) {
      if (error instanceof RuntimeError && error.code === "ERR_PROTOCOL") throw error;
      this.#options.log.error({ err: error, workerId: this.id }, "message of a worker failed: bug");
      const givenUp = new RuntimeError("ERR_CHANNEL_CLOSED", "Channel given up", { cause: error });
      this.giveUp("breach", givenUp);
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
        this.onExchange(message);
        return;
      case Kind.pong:
        this.#vitals = message[2];
        this.#options.onPong(this, message[1]);
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
      case Kind.loading:
        if (message[2] === "dispose") this.#disposing = message[1];
        else this.#onLoading(message[1], message[2]);
        return;
      case Kind.drained:
        this.#disposing = null;
        // All its exchanges are answered: the end of the channel is its sign to exit.
        if (this.#state.kind !== "draining") return;
        this.#endedAs ??= "retired";
        this.channel.close();
        return;
      default:
        assertNever(message);
    }
  }

  #onLoading(source: string, step: "import" | "init"): void {
    if (this.#state.kind !== "starting") return;
    this.#loading = source;
    this.#isInit = step === "init";
    if (this.#slow !== undefined) {
      this.#slow.refresh();
      return;
    }
    this.#slow = setTimeout(() => {
      if (this.#state.kind !== "starting") return;
      const { bootTimeoutMs, log } = this.#options;
      const fields = { workerId: this.id, handler: this.#loading, bootTimeoutMs };
      const what = this.#isInit ? `init() of ${this.#loading}` : this.#loading;
      const doing = this.#isInit ? "running" : "loading";
      log.warn(fields, `${what} is still ${doing} after ${SLOW_LOADING_MS} ms`);
    }, SLOW_LOADING_MS).unref();
  }

  #onReady(report: WorkerReport): void {
    clearTimeout(this.#slow);
    if (this.#state.kind !== "starting") return;
    this.#state = transition(this.#state, { type: "ready", nowMs: performance.now() });
    this.#readyAtMs = performance.now();
    clearTimeout(this.#timer);
    this.#options.onReady(this, report);
  }

  #onChannelClosed(error: RuntimeError | null): void {
    if (error?.code === "ERR_PROTOCOL" && !this.#lost) {
      const { id: workerId } = this;
      this.#options.log.error({ err: error, workerId }, "worker broke the protocol, killing it");
      this.#endedAs ??= "breach";
    }
    this.#cutOff();
    if (this.#exit !== null) {
      this.#finish(this.#exit);
    } else if (this.#endedAs !== null) {
      this.#lose(error ?? new RuntimeError("ERR_CHANNEL_CLOSED", "Channel ended"), this.#endedAs);
      // Without its channel a worker is useless. A drained one ends in order.
      if (error !== null) this.#killAs(this.#endedAs);
    } else {
      const silent = new RuntimeError(
        "ERR_CHANNEL_CLOSED",
        "Channel ended, and the worker did not",
      );
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.giveUp("breach", silent), EXIT_AFTER_END_MS);
    }
  }

  /** The process is gone, but its answers may wait in the channel: read them first. */
  #onProcessExit(code: number | null, signal: NodeJS.Signals | null): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#slow);
    this.#state = transition(this.#state, { type: "exit", code, signal });
    const readyForMs = this.#readyAtMs === null ? null : performance.now() - this.#readyAtMs;
    const oomKilled = signal === "SIGKILL" && this.#options.oomKills.take();
    const cause = classifyLoss({ code, signal }, { givenUp: this.#endedAs, oomKilled });
    const exit = {
      code,
      signal,
      readyForMs,
      cause,
      loading: this.#loading,
      isInit: this.#isInit,
      stack: this.#stack,
    };
    this.#exit = exit;
    if (this.channel.closed) {
      this.#finish(exit);
      return;
    }
    this.#cutOff();
    const giveUp = new RuntimeError("ERR_WORKER_EXITED", "Worker exited");
    this.#timer = setTimeout(() => this.channel.destroy(giveUp), READ_AFTER_EXIT_MS);
  }

  #finish(exit: WorkerExit): void {
    clearTimeout(this.#timer);
    const how = exit.signal ?? `code ${exit.code}`;
    this.#lose(new RuntimeError("ERR_WORKER_EXITED", `Worker exited with ${how}`), exit.cause);
    this.#reportDispose(exit);
    this.#options.onExit(this, exit);
    this.#onExited(exit);
  }

  /** A worker that ends within `dispose` cannot report it itself. */
  #reportDispose({ code, signal }: WorkerExit): void {
    const handler = this.#disposing;
    if (handler === null) return;
    const fields = { workerId: this.id, workerPid: this.pid, handler, code, signal };
    const how = signal === null ? `code ${code}` : `signal ${signal}`;
    const text =
      signal === "SIGKILL"
        ? "was still running when the worker was killed: expected it to end within the grace"
        : `has not ended: the worker exited with ${how} meanwhile, expected it to go on (no process.exit())`;
    this.#options.log.error(fields, `dispose() of ${handler} ${text}`);
  }

  #cutOff(): void {
    if (!this.#reachable) return;
    this.#reachable = false;
    this.#options.onUnreachable(this);
  }

  #lose(error: RuntimeError, cause: LossCause): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#options.onLost(this, error, cause);
  }
}

import { Channel } from "../channel/channel.ts";
import type {
  BootFailure,
  ExchangeMessage,
  HandlerFailure,
  PingNumber,
  CacheMessage,
  CallMessage,
  PurgeMessage,
  SocketActsMessage,
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
import type { Findings } from "./hang/examine.ts";
import { launchWorker } from "./launch-worker.ts";
import type { LaunchedWorker } from "./launched-worker.ts";
import { classifyLoss, type LossCause, type ProcessExit } from "./loss-cause.ts";
import { OOM_KILL, type OomKills } from "./oom-kills.ts";
import { toNoticeMs } from "./retire-grace.ts";
import { transition, type WorkerState } from "./worker-state.ts";

/** Grace of a worker that could not boot: it only has to flush its output. */
const BOOT_FAILED_GRACE_MS = 1_000;

/** Longest time after the boot timeout in which the primary finds out where the worker is blocked. A busy machine takes seconds. */
const EXAMINE_MS = 5_000;

/** The log names a file that a worker loads for longer. */
const SLOW_LOADING_MS = 5_000;

/**
 * How long the primary reads the channel after the exit. All bytes have arrived by then, unless another process holds
 * the worker's end.
 */
const READ_AFTER_EXIT_MS = 250;

/** How long the exit may take after the end of the channel. It is immediate, unless the worker closed the channel. */
const EXIT_AFTER_END_MS = 1_000;

export interface WorkerExit extends ProcessExit {
  /** The kernel killed the worker because memory ran out. */
  isOomKill: boolean;
  /** How long the worker was ready; `null`: never. */
  readyForMs: number | null;
  cause: LossCause;
  /** The handlers' file that the worker reported last as loading. */
  loading: string | null;
  /** It ran `init` of that file, not its top level. */
  isInit: boolean;
  /** Where the worker was blocked at its boot timeout, or where it crashed; empty: not known. */
  stack: readonly StackFrame[];
}

export interface WorkerProcessOptions {
  log: Logger;
  /** Shared by all workers that are counted together. */
  oomKills: OomKills;
  settings: WorkerSettings;
  /** Counts the bytes and frames of its channel. */
  traffic?: NonNullable<ConstructorParameters<typeof Channel>[1]["traffic"]>;
  /** Added to the environment of this process. */
  variables: Readonly<Record<string, string>>;
  /** Longest time from the fork to `ready`. After it the primary kills the worker. */
  bootTimeoutMs: number;
  /** Largest heap; `null`: Node's default. */
  heapLimitBytes: number | null;
  /** Its owner sets `worker.onExchange` in this call. */
  onReady: (worker: WorkerProcess, report: WorkerReport) => void;
  onBootFailed: (worker: WorkerProcess, failure: BootFailure) => void;
  onPong: (worker: WorkerProcess, number: PingNumber) => void;
  /** A handler failed. */
  onFailed: (failure: HandlerFailure) => void;
  /** A handler asks for a purge. */
  onPurge: (worker: WorkerProcess, message: PurgeMessage) => void;
  /** A handler uses `caches`. */
  onCache: (worker: WorkerProcess, message: CacheMessage) => void;
  /** A handler calls another one, or asks for a file. */
  onCall: (worker: WorkerProcess, message: CallMessage) => void;
  /** Handlers act on WebSockets. */
  onSocketActs: (worker: WorkerProcess, message: SocketActsMessage) => void;
  /**
   * The grace of a worker that was told to drain is nearly over: its code has the rest to end in order. Called at most once,
   * only for workers that `drain` was asked to give notice to.
   */
  onNotice: (worker: WorkerProcess) => void;
  /** The worker gets no more messages. Its last messages may follow, and the cause is not known yet. Called once. */
  onUnreachable: (worker: WorkerProcess) => void;
  /** The worker sends no more messages. Called once, after `onUnreachable`. */
  onLost: (worker: WorkerProcess, error: RuntimeError, cause: LossCause) => void;
  /** The process is gone. Called once, after `onLost`. */
  onExit: (worker: WorkerProcess, exit: WorkerExit) => void;
}

/**
 * One worker process, from its start to its exit.
 *
 *     reachable ──channel ends──▶ unreachable ──exits, or not in time──▶ lost ──▶ exited
 *         ├──exits──▶ unreachable ──channel read to its end, or not in time──▶ lost, exited
 *         └──given up, drained, breaks the protocol──▶ unreachable, lost ──▶ exited
 *
 * Draining, with a notice where the caller of `drain` asks for it:
 *
 *     told to drain ──▶ notice ──▶ grace ends: killed
 *           └────────────┴── drained, or unreachable ──▶ ends without the rest
 *
 * The notice comes at most once, while the worker is reachable. It neither ends the worker nor moves the end of the grace.
 *
 * Only the end of the process shows why a worker was lost. The worker counts as lost when the cause is known: by its
 * exit, or because the primary ended it.
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
  readonly #process: LaunchedWorker;
  readonly #options: WorkerProcessOptions;
  #state: WorkerState;
  #vitals: Vitals | null = null;
  #rssBytes: number | null = null;
  #loading: string | null = null;
  #isInit = false;
  /** The file whose `dispose` the worker runs; `null`: none, or the worker has drained. */
  #disposing: string | null = null;
  #slow: NodeJS.Timeout | undefined;
  #stack: readonly StackFrame[] = [];
  #timer: NodeJS.Timeout | undefined;
  #notice: NodeJS.Timeout | undefined;
  #reachable = true;
  #lost = false;
  /** Why the primary ended the worker; `null`: it did not. */
  #endedAs: LossCause | null = null;
  #readyAtMs: number | null = null;
  /** The exit of the process, until the primary has read the channel to its end and reports both. */
  #exit: WorkerExit | null = null;
  #onExited: (exit: WorkerExit) => void = () => {};
  /** Handles the next message: the first one is the worker's hello. */
  #receive: (message: ToPrimary) => void = (message) => this.#greet(message);

  /** @throws RuntimeError `ERR_BOOT_LOOP` when the system creates no process. */
  constructor(options: WorkerProcessOptions) {
    this.id = options.settings.workerId;
    this.#options = options;
    this.#state = { kind: "starting", sinceMs: performance.now() };
    // Libraries such as React choose their production build by NODE_ENV.
    const { settings, variables } = options;
    const env = { NODE_ENV: process.env["NODE_ENV"] ?? settings.mode, ...variables };
    this.#process = launchWorker(env, options);
    this.channel = new Channel(this.#process.socket, {
      maxFrameBytes: MAX_FRAME_BYTES,
      ...(options.traffic !== undefined && { traffic: options.traffic }),
      parse: parseToPrimary,
      onMessage: (message) => this.#receiveSafely(message),
      onClose: (error) => this.#onChannelClosed(error),
    });
    this.exited = new Promise((resolve) => {
      this.#onExited = resolve;
    });
    this.#process.onExit((exit) => this.#onProcessExit(exit));
    this.#timer = setTimeout(() => void this.#giveUpBoot(), options.bootTimeoutMs);
    this.channel.send([Kind.hello, PROTOCOL_VERSION, options.settings]);
  }

  get pid(): number {
    return this.#process.pid;
  }

  get state(): WorkerState {
    return this.#state;
  }

  /** `performance.now()` when it became ready; `null`: it has not. */
  get readyAtMs(): number | null {
    return this.#readyAtMs;
  }

  /** The handlers' file that the worker loads, or loaded last; `null`: none yet. */
  get loading(): string | null {
    return this.#loading;
  }

  /** The worker's measurements at its last pong; `null`: it has sent none. */
  get vitals(): Vitals | null {
    return this.#vitals;
  }

  /** The resident memory of the worker at its last measurement; `null`: not known. */
  get rssBytes(): number | null {
    return this.#rssBytes;
  }

  /** Notes a measurement of the resident memory; `null`: it failed. */
  noteRss(bytes: number | null): void {
    this.#rssBytes = bytes ?? this.#rssBytes;
  }

  /**
   * Lets the worker finish its exchanges and end. Kills it after the grace. Once it drains, only a shorter grace has an effect.
   *
   * @param options.withNotice Call `onNotice` shortly before the kill.
   */
  drain(graceMs: number, { withNotice = false } = {}): void {
    const before = this.#state;
    const deadlineMs = performance.now() + graceMs;
    if (before.kind === "exited") return;
    if (before.kind === "draining" && before.deadlineMs <= deadlineMs) return;
    this.#state = transition(before, { type: "drain", deadlineMs });
    this.#killAfter(graceMs, "retired");
    if (withNotice) {
      const noticeInMs = graceMs - toNoticeMs(graceMs);
      this.#notice = setTimeout(() => this.#options.onNotice(this), noticeInMs);
    }
    this.channel.send([Kind.drain, graceMs]);
  }

  /** Kills the worker, even if it is stopped or its event loop is blocked. */
  kill(): void {
    this.#killAs("retired");
  }

  /**
   * Kills a worker that is useless. Its exchanges in flight are lost now, for this cause. The first cause counts.
   */
  giveUp(cause: LossCause, error: RuntimeError): void {
    if (this.#exit !== null) return;
    this.#endedAs ??= cause;
    if (this.channel.closed) this.#onChannelClosed(error);
    else this.channel.destroy(error);
  }

  /** Finds out where it is blocked. Never rejects; ends with the signal. The worker can go on. */
  examine(options: { signal: AbortSignal }): Promise<Findings> {
    return this.#process.examine(options);
  }

  #killAs(cause: LossCause): void {
    this.#endedAs ??= cause;
    this.#process.kill();
  }

  /** Examines the worker before killing it: a dead process cannot show where it was blocked. */
  async #giveUpBoot(): Promise<void> {
    const signal = AbortSignal.timeout(EXAMINE_MS);
    const { stack } = this.#loading === null ? { stack: [] } : await this.examine({ signal });
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
      case Kind.responseFile:
      case Kind.responsePath:
      case Kind.responseTopics:
      case Kind.responseSocket:
      case Kind.responseChunk:
      case Kind.responseEnd:
      case Kind.responseAbort:
      case Kind.requestCredit:
      case Kind.settled:
      case Kind.probed:
      case Kind.returned:
      case Kind.passOn:
        this.onExchange(message);
        return;
      case Kind.pong:
        this.#vitals = message[2];
        this.noteRss(message[2].rssBytes);
        this.#options.onPong(this, message[1]);
        return;
      case Kind.failed:
        this.#options.onFailed(message[1]);
        return;
      case Kind.purge:
        this.#options.onPurge(this, message);
        return;
      case Kind.call:
      case Kind.callPiece:
      case Kind.callPieceEnd:
      case Kind.callGrant:
      case Kind.callCancel:
        this.#options.onCall(this, message);
        return;
      case Kind.cacheMatch:
      case Kind.cachePut:
      case Kind.cacheDelete:
      case Kind.cachePiece:
      case Kind.cachePutEnd:
      case Kind.cacheGrant:
      case Kind.cacheCancel:
        this.#options.onCache(this, message);
        return;
      case Kind.socketActs:
        this.#options.onSocketActs(this, message);
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
        // All its exchanges are answered. The end of the channel makes it exit.
        if (this.#state.kind !== "draining") return;
        clearTimeout(this.#notice);
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
      const subject = this.#isInit ? `init() of ${this.#loading}` : this.#loading;
      const doing = this.#isInit ? "running" : "loading";
      log.warn(fields, `${subject} is still ${doing} after ${SLOW_LOADING_MS} ms`);
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
      // Without its channel a worker is useless. A drained worker exits by itself.
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

  /** Handles the exit of the process. Its last answers may wait in the channel: the primary reads them first. */
  #onProcessExit({ code, signal }: ProcessExit): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#slow);
    this.#state = transition(this.#state, { type: "exit", code, signal });
    const readyForMs = this.#readyAtMs === null ? null : performance.now() - this.#readyAtMs;
    const isForeignKill = this.#endedAs === null && signal === "SIGKILL";
    const oomKilled = isForeignKill && this.#options.oomKills.take();
    const cause = classifyLoss({ code, signal }, { givenUp: this.#endedAs, oomKilled });
    const exit = {
      code,
      signal,
      isOomKill: oomKilled,
      readyForMs,
      cause,
      loading: this.#loading,
      isInit: this.#isInit,
      stack: this.#stack.length > 0 ? this.#stack : this.#process.crashStack(),
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
    const why = exit.isOomKill ? `: ${OOM_KILL}` : "";
    const text = `Worker exited with ${how}${why}`;
    this.#lose(new RuntimeError("ERR_WORKER_EXITED", text), exit.cause);
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
    clearTimeout(this.#notice);
    this.#options.onUnreachable(this);
  }

  #lose(error: RuntimeError, cause: LossCause): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#options.onLost(this, error, cause);
  }
}

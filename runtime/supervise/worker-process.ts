import cluster, { type Worker } from "node:cluster";
import { Socket } from "node:net";
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
import { CHANNEL_FD, Kind, PROTOCOL_VERSION } from "../channel/messages.ts";
import { parseToPrimary } from "../channel/parse.ts";
import { RuntimeError, assertNever } from "../errors.ts";
import { transition, type WorkerState } from "./worker-state.ts";

/** A frame holds what one turn of a worker's loop sent: no body in it is longer than a chunk. */
const MAX_FRAME_BYTES = 16 * 1024 * 1024;

/** A worker that could not boot has nothing to finish but to flush what it printed. */
const BOOT_FAILED_GRACE_MS = 1_000;

export interface WorkerExit {
  code: number | null;
  signal: NodeJS.Signals | null;
  /** How long it was ready; `null` when it never was. */
  readyForMs: number | null;
}

export interface WorkerProcessOptions {
  settings: WorkerSettings;
  /** Longest time from the fork to `ready`; then it is killed. */
  bootTimeoutMs: number;
  onReady: (worker: WorkerProcess, report: WorkerReport) => void;
  onBootFailed: (worker: WorkerProcess, failure: BootFailure) => void;
  onMessage: (worker: WorkerProcess, message: ExchangeMessage) => void;
  /** The channel closed or the process exited, whichever was seen first: nothing more will be answered. Once. */
  onLost: (worker: WorkerProcess, error: RuntimeError) => void;
  /** The process is gone. Once, after `onLost`. */
  onExit: (worker: WorkerProcess, exit: WorkerExit) => void;
}

/** Tells `node:cluster` how to fork workers. Once per primary, before the first fork. */
export function prepareForks(workerEntry: string): void {
  cluster.setupPrimary({
    exec: workerEntry,
    args: [],
    // The channel is a socketpair of its own; Node's JSON "ipc" is left to node:cluster (design.md section 3).
    stdio: ["ignore", "inherit", "inherit", "ipc", "pipe"],
  });
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

  constructor(options: WorkerProcessOptions) {
    this.id = options.settings.workerId;
    this.#options = options;
    this.#state = { kind: "starting", sinceMs: performance.now() };
    // Libraries choose their production build by it, React among them.
    this.#worker = cluster.fork({ NODE_ENV: process.env["NODE_ENV"] ?? options.settings.mode });
    const socket = this.#worker.process.stdio[CHANNEL_FD];
    if (!(socket instanceof Socket)) throw new TypeError("a forked worker has no channel");
    this.channel = new Channel(socket, {
      maxFrameBytes: MAX_FRAME_BYTES,
      parse: parseToPrimary,
      onMessage: (message) => this.#receive(message),
      onClose: (error) => this.#onChannelClosed(error),
    });
    this.exited = new Promise((resolve) => {
      this.#worker.once("exit", (code: number | null, signal: string | null) => {
        // Node names signals as its own types do.
        resolve(this.#onExit(code, signal as NodeJS.Signals | null));
      });
    });
    // A fork that fails (EAGAIN, ENOMEM) tells so here and then exits.
    this.#worker.on("error", () => {});
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

  #receive(message: ToPrimary): void {
    switch (message[0]) {
      case Kind.response:
      case Kind.responseChunk:
      case Kind.responseEnd:
      case Kind.responseAbort:
      case Kind.requestCredit:
        this.#options.onMessage(this, message);
        return;
      case Kind.workerHello:
        return;
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
    this.#lose(error ?? new RuntimeError("ERR_CHANNEL_CLOSED", "Channel ended"));
    // Without its channel a worker is of no use, whatever it still does.
    if (this.#state.kind !== "draining" || error !== null) this.kill();
  }

  #onExit(code: number | null, signal: NodeJS.Signals | null): WorkerExit {
    clearTimeout(this.#timer);
    this.#lose(
      new RuntimeError("ERR_WORKER_EXITED", `Worker exited with ${signal ?? `code ${code}`}`),
    );
    this.channel.destroy(new RuntimeError("ERR_WORKER_EXITED", "Worker exited"));
    this.#state = transition(this.#state, { type: "exit", code, signal });
    const readyForMs = this.#readyAtMs === null ? null : performance.now() - this.#readyAtMs;
    const exit = { code, signal, readyForMs };
    this.#options.onExit(this, exit);
    return exit;
  }

  #lose(error: RuntimeError): void {
    if (this.#lost) return;
    this.#lost = true;
    this.#options.onLost(this, error);
  }
}

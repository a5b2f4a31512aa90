import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { reloadReportSchema, statusSchema } from "../control/answers.ts";
import { type ControlAnswer, askControl } from "../control/control-client.ts";
import type { Status, WorkerInfo } from "../control/operations.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Endpoint } from "./connection.ts";

const QUESTION_TIMEOUT_MS = 30_000;
const RELOAD_TIMEOUT_MS = 120_000;
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;
const POLL_MS = 50;

/** Lines of the server's log that are shown when it ends unexpectedly. */
const KEPT_LINES = 20;

export interface DrillServerOptions {
  readonly command: readonly [program: string, ...args: string[]];
  readonly cwd: string;
  readonly stateDir: string;
  /** Called with the server's process id, so that another process can end the server if this one is killed. */
  readonly onPid: (pid: number) => void;
  readonly signal: AbortSignal;
}

/** The real server in a process of its own, controlled over its control socket. */
export class DrillServer {
  readonly #child: ChildProcess;
  readonly #stateDir: string;
  readonly #signal: AbortSignal;
  readonly #lastLines: string[] = [];
  readonly #exited: Promise<unknown>;
  readonly #ports = { http: 0, https: 0 };

  private constructor({ command, cwd, stateDir, signal, onPid }: DrillServerOptions) {
    const [program, ...args] = command;
    this.#stateDir = stateDir;
    this.#signal = signal;
    // A process group of its own: Ctrl+C in a terminal reaches this process only, which stops the server.
    const stdio = ["ignore", "ignore", "pipe"] as const;
    this.#child = spawn(program, args, { cwd, stdio: [...stdio], detached: true });
    this.#exited = once(this.#child, "close").catch(() => {});
    if (this.#child.pid !== undefined) onPid(this.#child.pid);
    if (this.#child.stderr === null) return;
    createInterface(this.#child.stderr).on("line", (line) => {
      this.#lastLines.push(line);
      if (this.#lastLines.length > KEPT_LINES) this.#lastLines.shift();
    });
  }

  /**
   * Starts the server and waits until it listens.
   *
   * @throws ERR_LISTEN with the end of the log when the server ends instead, or takes too long; the signal's reason.
   */
  static async start(options: DrillServerOptions): Promise<DrillServer> {
    const server = new DrillServer(options);
    try {
      await server.#untilServing();
      const { listeners } = await server.status();
      for (const { scheme, port } of listeners) server.#ports[scheme] = port;
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  get plain(): Endpoint {
    return { port: this.#ports.http, secure: false };
  }

  get secure(): Endpoint {
    return { port: this.#ports.https, secure: true };
  }

  /** @throws ERR_CHANNEL_CLOSED when the server does not answer. */
  async status(): Promise<Status> {
    const answer = await askControl(this.#stateDir, toAsk("/status"));
    if (answer.kind === "done") return statusSchema.parse(answer.value);
    throw new RuntimeError("ERR_CHANNEL_CLOSED", `Cannot go on: ${answer.message}`);
  }

  /** Returns the workers of a pool that take requests. */
  async readyWorkers(pool: string): Promise<WorkerInfo[]> {
    const { pools } = await this.status();
    const workers = pools.find(({ name }) => name === pool)?.workers ?? [];
    return workers.filter(({ state }) => state === "ready");
  }

  /** Reloads the server and returns its answer. Checks the report of a reload that is done. */
  async reload(): Promise<ControlAnswer> {
    const answer = await askControl(this.#stateDir, {
      method: "POST",
      path: "/reload",
      timeoutMs: RELOAD_TIMEOUT_MS,
    });
    if (answer.kind === "done") reloadReportSchema.parse(answer.value);
    return answer;
  }

  /** Waits until a worker has gone and `count` workers are ready. Returns false after the timeout. */
  async untilReplaced(
    gone: readonly number[],
    { pool, count, timeoutMs }: { pool: string; count: number; timeoutMs: number },
  ): Promise<boolean> {
    const endMs = performance.now() + timeoutMs;
    while (performance.now() < endMs) {
      const pids = new Set((await this.readyWorkers(pool)).map(({ pid }) => pid));
      if (pids.size >= count && gone.some((pid) => !pids.has(pid))) return true;
      await delay(POLL_MS, null, { signal: this.#signal });
    }
    return false;
  }

  /** Ends the server and all its processes: gracefully, or else by force. Idempotent. */
  async stop(): Promise<void> {
    this.#child.kill("SIGTERM");
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timer);
  }

  async #untilServing(): Promise<void> {
    const endMs = performance.now() + START_TIMEOUT_MS;
    for (;;) {
      const answer = await askControl(this.#stateDir, toAsk("/status"));
      if (answer.kind === "done") return;
      if (this.#child.exitCode !== null || this.#child.signalCode !== null) {
        throw this.#failure("Cannot start the server: it ended");
      }
      if (performance.now() > endMs) {
        throw this.#failure(`Cannot start the server: it takes longer than ${START_TIMEOUT_MS} ms`);
      }
      await delay(POLL_MS, null, { signal: this.#signal });
    }
  }

  #failure(message: string): RuntimeError {
    return new RuntimeError("ERR_LISTEN", [message, ...this.#lastLines].join("\n  "));
  }
}

function toAsk(path: string): { method: "GET"; path: string; timeoutMs: number } {
  return { method: "GET", path, timeoutMs: QUESTION_TIMEOUT_MS };
}

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { RuntimeError } from "../lib/errors.ts";
import { settledWithin } from "../lib/settled-within.ts";
import { TAKEOVER_VARIABLE } from "../lib/takeover-variable.ts";
import {
  type FromSuccessor,
  NO_FACTS,
  type Place,
  type ServingFacts,
  type SharedPort,
  type ToSuccessor,
} from "./takeover.ts";

export interface ExitOf {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface SuccessorOptions {
  /** The place that it takes. */
  place: Place;
  /** Longest time until it serves. */
  timeoutMs: number;
  /** The folder in which it starts. */
  cwd: string;
  /** The command to start. Default: the command of this process, as it is on disk now. */
  command?: readonly [program: string, ...args: string[]];
  /** How long a server that is given up may take to end its workers and itself; default 5 s. */
  killAfterMs?: number;
}

const KILL_AFTER_MS = 5_000;

/**
 * The old server's side of an upgrade: the new server is the same command, started again, on the same ports.
 *
 *     starting ──"ready"──▶ ready ──takeOver()──▶ in place ──▶ exited
 *        └── exits, takes too long, is given up: it ends, and so do its workers
 *
 * Both listen on the ports while it is ready and this one has not left: the kernel gives each a share of the new
 * connections (SO_REUSEPORT).
 */
export class Successor {
  readonly listeners: readonly SharedPort[];
  readonly exited: Promise<ExitOf>;
  readonly facts: ServingFacts;
  /** Called when it asks for another server in its own place. */
  onUpgradeWanted: () => void = () => {};
  readonly #child: ChildProcess;
  readonly #killAfterMs: number;

  private constructor(
    child: ChildProcess,
    {
      listeners,
      facts,
      exited,
      killAfterMs,
    }: Pick<Successor, "listeners" | "facts" | "exited"> & { killAfterMs: number },
  ) {
    this.facts = facts;
    this.#child = child;
    this.#killAfterMs = killAfterMs;
    this.listeners = listeners;
    this.exited = exited;
    // This program's own messages have no other form.
    child.on("message", (message) => {
      if ((message as FromSuccessor).type === "upgrade") this.onUpgradeWanted();
    });
  }

  /**
   * Starts it and waits until it serves.
   *
   * @throws RuntimeError `ERR_BOOT_LOOP` with the reason why it does not serve; `ERR_DRAINING` when the signal aborts.
   *   Its process is gone by then.
   */
  static async raise(
    options: SuccessorOptions,
    { signal }: { signal: AbortSignal },
  ): Promise<Successor> {
    const child = start(options);
    const { killAfterMs = KILL_AFTER_MS } = options;
    const exited = exitOf(child);
    const timeout = AbortSignal.timeout(options.timeoutMs);
    try {
      const answer = await firstAnswer(child, { exited, stop: AbortSignal.any([signal, timeout]) });
      if (answer.type !== "ready") {
        throw refusal(answer.type === "failed" ? answer.message : "the new process is confused");
      }
      const { listeners, facts = NO_FACTS } = answer;
      return new Successor(child, { listeners, facts, exited, killAfterMs });
    } catch (error) {
      await end(child, { exited, killAfterMs });
      if (signal.aborted)
        throw new RuntimeError("ERR_DRAINING", "Cannot upgrade: the server stops");
      if (timeout.aborted) {
        throw refusal(
          `the new process was not ready within ${options.timeoutMs} ms, so it was ended`,
        );
      }
      throw error;
    }
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  /**
   * Leaves this server's place to it.
   *
   * @param stays Whether this process stays as its parent: its end is then the end of both.
   */
  async takeOver({ stays }: { stays: boolean }): Promise<void> {
    await this.#send({ type: "take-over", stays });
    if (stays) return;
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }

  /** Tells it that another server has taken its place: it answers its connections' last requests, and ends. */
  leave({ pid, facts }: Pick<Successor, "pid" | "facts">): Promise<void> {
    return this.#send({ type: "leave", next: { pid, facts } });
  }

  /** Tells it that the server that it asked for does not come: it serves on. */
  refuse(message: string): Promise<void> {
    return this.#send({ type: "not-upgraded", message });
  }

  /** Sends it a signal. */
  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it and its workers: it is given up. */
  async end(): Promise<void> {
    await end(this.#child, { exited: this.exited, killAfterMs: this.#killAfterMs });
  }

  /** Resolves when the message is on its way. A process that is gone gets none, and its exit reports that. */
  #send(message: ToSuccessor): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.connected) this.#child.send(message, () => resolve());
      else resolve();
    });
  }
}

function start({ place, cwd, command }: SuccessorOptions): ChildProcess {
  const [program, ...args] = command ?? [
    process.execPath,
    ...process.execArgv,
    ...process.argv.slice(1),
  ];
  // In this process group, with this terminal: signals for this server reach that one too.
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, [TAKEOVER_VARIABLE]: JSON.stringify(place) },
    stdio: ["inherit", "inherit", "inherit", "ipc"],
  });
  // Later errors mean that a signal or a message did not arrive, which the exit explains.
  child.on("error", () => {});
  return child;
}

function exitOf(child: ChildProcess): Promise<ExitOf> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
    // It was never started, so it will not exit.
    if (child.pid === undefined) resolve({ code: null, signal: null });
  });
}

async function firstAnswer(
  child: ChildProcess,
  { exited, stop }: { exited: Promise<ExitOf>; stop: AbortSignal },
): Promise<FromSuccessor> {
  const listening = new AbortController();
  const { signal } = listening;
  const failed = new Promise<never>((_, reject) => {
    child.once("error", (error) =>
      reject(refusal(`the new process does not start: ${error.message}`)),
    );
    stop.addEventListener("abort", () => reject(new Error("not wanted any more")), { signal });
    if (stop.aborted) reject(new Error("not wanted any more"));
  });
  const ended = exited.then(async ({ code, signal: by }) => {
    // Its last message may come after its exit.
    if (child.connected) await settledWithin(once(child, "disconnect"), LAST_WORDS_MS);
    throw refusal(`the new process ended with ${by ?? `code ${code}`} before it was ready`);
  });
  try {
    // This program's own messages have no other form.
    const message = once(child, "message", { signal }).then(([answer]) => answer as FromSuccessor);
    return await Promise.race([message, failed, ended]);
  } finally {
    listening.abort();
  }
}

const LAST_WORDS_MS = 1_000;

async function end(
  child: ChildProcess,
  { exited, killAfterMs }: { exited: Promise<ExitOf>; killAfterMs: number },
): Promise<void> {
  child.kill("SIGTERM");
  // A stopped process reacts to nothing else.
  const timer = setTimeout(() => child.kill("SIGKILL"), killAfterMs);
  await exited;
  clearTimeout(timer);
  if (child.connected) child.disconnect();
}

function refusal(reason: string): RuntimeError {
  return new RuntimeError("ERR_BOOT_LOOP", `Cannot upgrade: ${reason}`);
}

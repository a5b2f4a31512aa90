import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { readSessions } from "./proc.ts";
import type { Command } from "./setting.ts";

export interface ProcessGroupOptions {
  /** Gets the output of all programs. It may be their access log: programs that follow 12factor.net write it there. */
  readonly outputFile: string;
  /** Put before each command; see `findLauncher`. */
  readonly launcher: readonly string[];
  /** Time to end gracefully. */
  readonly graceMs: number;
  /** Holds the group from before its first program starts until all its processes have ended. */
  readonly living: Set<ProcessGroup>;
}

/** The programs of one server, each in a session of its own, so that all their children can be measured and ended. */
export class ProcessGroup {
  readonly #children: readonly ChildProcess[];
  readonly #commands: readonly Command[];
  readonly #options: ProcessGroupOptions;
  readonly #ended: Promise<void>[] = [];
  #failure: string | undefined;

  constructor(commands: readonly Command[], options: ProcessGroupOptions) {
    this.#options = options;
    this.#commands = commands;
    options.living.add(this);
    this.#children = commands.map((command) => this.#start(command));
  }

  /** Returns why a program ended or could not start; `undefined` while all run. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** Returns the end of the programs' output. */
  lastWords(): string {
    return readFileSync(this.#options.outputFile, "utf8").trim().slice(-LAST_WORDS_CHARS);
  }

  /** Returns the ids of all sessions. A child leads its session, so its process id is the id of the session. */
  get sessions(): ReadonlySet<number> {
    return this.#sessionsOf(() => true);
  }

  /** Returns the ids of the sessions that are measured: all but those of upstreams. */
  get measuredSessions(): ReadonlySet<number> {
    return this.#sessionsOf((command) => command.isUpstream !== true);
  }

  /** Returns the ids of the sessions of upstreams. */
  get upstreamSessions(): ReadonlySet<number> {
    return this.#sessionsOf((command) => command.isUpstream === true);
  }

  /** Returns the living processes that hold clients' connections. */
  get clientsAt(): readonly number[] {
    return this.#commands.flatMap(({ clientsAt }, index) => {
      const pid = this.#children[index]?.pid;
      if (pid === undefined || clientsAt === undefined) return [];
      return clientsAt === "leader" ? [pid] : [...readSessions(new Set([pid])).keys()];
    });
  }

  /** Asks the programs to end, then kills them. Resolves when all processes of the server have ended. */
  async stop(): Promise<void> {
    for (const child of this.#children) child.kill("SIGTERM");
    const { graceMs } = this.#options;
    if (!(await this.#isGoneWithin(graceMs))) {
      this.killNow();
      await this.#isGoneWithin(graceMs);
    }
    // The process table is ahead of this process's events, which still use the output file.
    await Promise.all(this.#ended);
    this.#options.living.delete(this);
  }

  /** Kills all processes of the server, synchronously. */
  killNow(): void {
    for (const pid of readSessions(this.sessions).keys()) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // The process has ended since it was listed.
      }
    }
  }

  #sessionsOf(isWanted: (command: Command) => boolean): ReadonlySet<number> {
    return new Set(
      this.#children.flatMap(({ pid }, index) => {
        const command = this.#commands[index];
        return pid !== undefined && command !== undefined && isWanted(command) ? [pid] : [];
      }),
    );
  }

  #start({ file, args, env }: Command): ChildProcess {
    const { outputFile, launcher } = this.#options;
    const output = openSync(outputFile, "a");
    try {
      const [program = file, ...rest] = [...launcher, file, ...args];
      const child = spawn(program, rest, {
        detached: true,
        stdio: ["ignore", output, output],
        env: { ...process.env, NODE_ENV: "production", ...env },
      });
      this.#ended.push(this.#watch(child, file));
      return child;
    } finally {
      closeSync(output);
    }
  }

  #watch(child: ChildProcess, file: string): Promise<void> {
    return new Promise((resolve) => {
      child.once("error", (error) => {
        this.#failure ??= error.message;
        resolve();
      });
      child.once("exit", (code, signal) => {
        const end = signal ?? `exit code ${code}`;
        this.#failure ??= `${file} ended with ${end}: ${this.lastWords()}`;
        resolve();
      });
    });
  }

  async #isGoneWithin(ms: number): Promise<boolean> {
    const deadline = performance.now() + ms;
    // No event reports the end of a child's child: poll the process table.
    while (readSessions(this.sessions).size > 0) {
      if (performance.now() > deadline) return false;
      await delay(POLL_MS);
    }
    return true;
  }
}

/**
 * Returns a command prefix that ends a program when the benchmark is killed.
 *
 * Empty if util-linux, which provides it, is not installed.
 */
export function findLauncher(): readonly string[] {
  const tie = ["--pdeathsig", "TERM"];
  return spawnSync("setpriv", [...tie, "true"]).status === 0 ? ["setpriv", ...tie] : [];
}

const POLL_MS = 10;
const LAST_WORDS_CHARS = 600;

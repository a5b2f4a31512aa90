import { readFileSync } from "node:fs";
import { EXIT } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import { isEnding, type PassOn, SAME_SIGNAL_MS } from "./shutdown.ts";
import type { StartCommand } from "./start-command.ts";
import { exitCodeOf, Succession } from "./succession.ts";
import { Successor } from "./successor.ts";
import { settledWithin } from "../lib/settled-within.ts";
import type { SharedPort, Takeover, UpgradeOutcome } from "./takeover.ts";

/** A build is given up after a minute, and settings and certificates are read before it. */
const BUILD_TIMEOUT_MS = 75_000;

/** How much longer than that the parent may take to say how it went. */
const ANSWER_MS = 5_000;

/** Longest wait for connections that this process keeps: an idle one is closed after 8 to 12 s. */
const LEAVING_MS = 15_000;

/** How long a successor may take to end when it is told to at once. */
const FORCED_MS = 1_000;

export interface UpgraderOptions {
  log: Logger;
  start: StartCommand;
  /** For the workers of the new process. */
  bootTimeoutMs: number;
  /** Whether this process stays as the parent of the one that takes its place (see `staysAsParent`). */
  stays: boolean;
  /** The link to the process that stays as the parent of this one; `null`: there is none. */
  guardian: Pick<Takeover, "parent" | "upgrade"> | null;
  listeners: () => SharedPort[];
  /** Sets the receiver of signals from now on. */
  passSignals: (passOn: PassOn) => void;
  /** Tells others that the process of this number serves from now on. */
  handOver: (pid: number) => Promise<void>;
  /** Accepts no more, answers the last requests of its connections until they are gone, ends all workers. */
  leave: () => Promise<void>;
  /** As `leave`, but answers only requests in flight. */
  close: () => Promise<void>;
  /** Resolves when each waiting command has its answer, or soon. */
  answered: () => Promise<void>;
}

/**
 * Decides whether a process stays once another one serves in its place.
 *
 * A container's runtime, npm, a shell or a supervisor waits for the end of the process that it started, and would take
 * it for the end of the service. So it stays as the parent of its successor, passes signals on, and ends as that ends;
 * unless the successor can be found without it: systemd is told its number, or it is in the pid file. Process 1 always
 * stays: its end is the end of its container.
 */
export function staysAsParent(facts: {
  pid: number;
  hasPidFile: boolean;
  hasServiceManager: boolean;
}): boolean {
  return facts.pid === 1 || !(facts.hasPidFile || facts.hasServiceManager);
}

/**
 * Starts this program anew, on the same ports, and leaves them to it once it serves.
 *
 *     serving ──new one serves──▶ draining ──▶ exits with 0
 *                                    └─ stays ──▶ waiting ──the one that serves exits──▶ exits as that did
 */
export class Upgrader {
  readonly #options: UpgraderOptions;
  readonly #succession: Succession;
  #running: Promise<UpgradeOutcome> | null = null;
  /** Resolves when the last upgrade has ended and this process has left its place, if it does. */
  #upgrading: Promise<unknown> = Promise.resolve();
  #onLeft: (left: Promise<void>) => void = () => {};
  /** Resolves when this process has left its place and has no connection any more. */
  readonly #hasLeft = new Promise<void>((resolve) => {
    this.#onLeft = (left) => void left.then(resolve, () => resolve());
  });
  #left: Promise<void> | null = null;
  #endingSinceMs: number | null = null;

  constructor(options: UpgraderOptions) {
    this.#options = options;
    const { log, start, bootTimeoutMs, listeners } = options;
    const timeoutMs = BUILD_TIMEOUT_MS + bootTimeoutMs;
    this.#succession = new Succession({
      log,
      listeners,
      raise: (place, signal) => Successor.raise({ ...start, place, timeoutMs }, { signal }),
    });
  }

  /** Begins an upgrade; the log tells the outcome. */
  upgrade(): void {
    const { guardian } = this.#options;
    // The guardian has to be the parent of the server.
    if (guardian !== null) process.kill(guardian.parent, "SIGUSR2");
    else if (this.#succession.isRaising) void this.#succession.raise();
    else void this.#begin();
  }

  /**
   * Upgrades for a command that waits. Once another process serves, resolves when this one has no connection left, or
   * after {@link LEAVING_MS}: from then on the new process answers every request.
   */
  async upgradeAndLeave(): Promise<UpgradeOutcome> {
    const { guardian, bootTimeoutMs } = this.#options;
    const outcome =
      guardian === null
        ? await this.#begin()
        : await guardian.upgrade(BUILD_TIMEOUT_MS + bootTimeoutMs + ANSWER_MS);
    if (outcome.kind === "moved") await settledWithin(this.#hasLeft, LEAVING_MS);
    return outcome;
  }

  /** Notes that this process leaves, by the word of the process that stays as its parent. */
  noteLeaving(left: Promise<void>): void {
    this.#onLeft(left);
  }

  /** The server stops: ends the process that is being started. Resolves when it is gone. */
  async abort(): Promise<void> {
    this.#succession.abort();
    await this.#upgrading;
  }

  /** Begins an upgrade, or returns the outcome of the one that runs. */
  #begin(): Promise<UpgradeOutcome> {
    if (this.#running !== null) return this.#running;
    if (this.#endingSinceMs !== null) {
      return Promise.resolve({ kind: "refused", message: "the server stops" });
    }
    const upgrading = this.#upgradeSafely().finally(() => (this.#running = null));
    this.#running = upgrading;
    this.#upgrading = upgrading.then(() => this.#left?.catch(() => {}));
    return upgrading;
  }

  /** Never rejects: it must not end the process that is left to serve. */
  async #upgradeSafely(): Promise<UpgradeOutcome> {
    try {
      return await this.#upgrade();
    } catch (error) {
      this.#options.log.error({ err: error }, "upgrade failed: bug");
      return { kind: "refused", message: String(error) };
    }
  }

  /** Resolves when the new process has the place; this one may still answer requests on its connections. */
  async #upgrade(): Promise<UpgradeOutcome> {
    const { stays, log } = this.#options;
    const before = this.#succession.current;
    const raised = await this.#succession.raise();
    if ("refused" in raised) return { kind: "refused", message: raised.refused };
    const { next } = raised;
    this.#watch(next);
    next.onUpgradeWanted = () => void this.#upgradeFor(next);
    if (before === null) await this.#leaveTo(next);
    else {
      await next.takeOver({ stays });
      await before.leave(next);
      log.info({ previousPid: before.pid }, "the previous process finishes its requests");
    }
    return { kind: "moved", pid: next.pid, facts: next.facts };
  }

  /** A process that serves in this one's place asks for another: only this one can be its parent. */
  async #upgradeFor(serving: Successor): Promise<void> {
    const outcome = await this.#begin();
    if (outcome.kind === "refused") await serving.refuse(outcome.message);
  }

  async #leaveTo(next: Successor): Promise<void> {
    const { stays, passSignals, handOver, leave, log } = this.#options;
    passSignals((signal) => this.#onSignal(signal));
    if (!keepsConnections()) {
      log.info(
        "connections that are being made in this moment may be lost: tcp_migrate_req is off",
      );
    }
    try {
      await handOver(next.pid);
    } catch (error) {
      // The new process serves and has connections: it has the place, whether or not others know.
      log.error({ err: error }, "cannot tell others which process serves");
    }
    await next.takeOver({ stays });
    this.#left = leave();
    this.#onLeft(this.#left);
    void this.#endAfterLeaving(next, this.#left);
  }

  async #endAfterLeaving(next: Successor, left: Promise<void>): Promise<void> {
    const { stays, answered, log } = this.#options;
    await left.catch((error: unknown) => log.error({ err: error }, "cannot stop in order"));
    if (!stays) {
      await answered();
      process.exit(EXIT.drained);
    }
    log.info({ successorPid: next.pid }, "waiting for the process that serves; signals go to it");
  }

  /** The end of the serving process is the end of this one, if it stays. */
  #watch(next: Successor): void {
    if (!this.#options.stays) return;
    void next.exited.then(async (exit) => {
      if (this.#succession.current !== next) return;
      this.#succession.abort();
      const code = exitCodeOf(exit);
      // After a graceful stop the clients of this process have their grace too. After a crash no process serves, and
      // the service manager must know at once.
      if (code === EXIT.drained) await this.#left?.catch(() => {});
      process.exit(code);
    });
  }

  /** The first that asks for the end is obeyed in order, the second at once. */
  #onSignal(signal: NodeJS.Signals): void {
    const { stays, close, log } = this.#options;
    const successor = stays ? this.#succession.current : null;
    successor?.kill(signal);
    if (!isEnding(signal)) return;
    this.#succession.abort();
    if (this.#endingSinceMs === null) {
      this.#endingSinceMs = performance.now();
      close().catch((error: unknown) => log.error({ err: error }, "cannot stop in order"));
      return;
    }
    if (performance.now() - this.#endingSinceMs < SAME_SIGNAL_MS) return;
    log.warn({ signal }, "stopped at once");
    const exit = (): void => process.exit(exitCodeOf({ code: null, signal }));
    if (successor === null) exit();
    // It has been told, too, and its end is the end of this process. One that is stopped hears nothing.
    setTimeout(() => {
      successor?.kill("SIGKILL");
      exit();
    }, FORCED_MS);
  }
}

/**
 * Whether the kernel gives the waiting connections of a closing listener to another one on the same port (Linux 5.14).
 */
function keepsConnections(): boolean {
  try {
    return readFileSync("/proc/sys/net/ipv4/tcp_migrate_req", "utf8").trim() !== "0";
  } catch {
    // An older kernel, or none of that name.
    return false;
  }
}

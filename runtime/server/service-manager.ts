import { type ChildProcess, spawn } from "node:child_process";
import type { Logger } from "../log/log.ts";

/** Longest time to send a message: after it the message counts as lost. Later messages wait for it. */
const SEND_TIMEOUT_MS = 10_000;

/** Most messages that wait for a manager that does not receive. Further ones are dropped. */
const MAX_WAITING = 16;

export interface ServiceManagerOptions {
  env: Readonly<Record<string, string | undefined>>;
  log: Logger;
  /** The program that sends the messages. Default: `systemd-notify`. */
  program?: string;
  /** Whether a process with the number `WATCHDOG_PID` started this one: as its successor, or as another user. */
  isSuccessor?: boolean;
}

/**
 * Reports the state of the service to systemd (or another program with its protocol, sd_notify(3)).
 *
 * Node has no datagram sockets for Unix addresses, so `systemd-notify` sends each message. It is present wherever
 * systemd is, takes some milliseconds, and is rarely needed. Messages are sent one at a time, in order.
 */
export class ServiceManager {
  readonly #options: ServiceManagerOptions;
  readonly #program: string;
  #last: Promise<void> = Promise.resolve();
  #waiting = 0;
  #isMissing = false;
  #watchdog: NodeJS.Timeout | null = null;

  private constructor(options: ServiceManagerOptions) {
    this.#options = options;
    this.#program = options.program ?? "systemd-notify";
  }

  /** @returns `null` when there is no service manager. */
  static find(options: ServiceManagerOptions): ServiceManager | null {
    return options.env["NOTIFY_SOCKET"] ? new ServiceManager(options) : null;
  }

  /** Reports that the service serves, also after a reload. The first call starts the watchdog messages. */
  ready(status: string): Promise<void> {
    this.#startWatchdog();
    return this.#send("READY=1", `STATUS=${status}`);
  }

  /** Reports that a reload begins; `ready` reports its end. */
  reloading(): Promise<void> {
    // The unit is that of `CLOCK_MONOTONIC`, which hrtime reads.
    const microseconds = process.hrtime.bigint() / 1000n;
    return this.#send("RELOADING=1", `MONOTONIC_USEC=${microseconds}`, "STATUS=reloading");
  }

  /** Reports that the service ends. */
  stopping(): Promise<void> {
    return this.#send("STOPPING=1", "STATUS=finishing open requests");
  }

  /** Reports that another process is the service from now on. Resolves when the manager knows. */
  handOver(pid: number): Promise<void> {
    this.close();
    return this.#send(`MAINPID=${pid}`);
  }

  /** Stops the watchdog messages. */
  close(): void {
    if (this.#watchdog !== null) clearInterval(this.#watchdog);
    this.#watchdog = null;
  }

  #startWatchdog(): void {
    if (this.#watchdog !== null) return;
    const { env, isSuccessor = false } = this.#options;
    const intervalMs = watchdogIntervalMs(env, { isSuccessor });
    if (intervalMs === null) return;
    this.#watchdog = setInterval(() => {
      // Other messages that wait prove the same, and this one would be late behind them.
      if (this.#waiting === 0) void this.#send("WATCHDOG=1");
    }, intervalMs);
    this.#watchdog.unref();
  }

  /** Resolves when the message was sent, or cannot be. */
  #send(...assignments: string[]): Promise<void> {
    if (this.#isMissing || this.#waiting >= MAX_WAITING) return Promise.resolve();
    this.#waiting++;
    this.#last = this.#last
      .then(() => this.#run(assignments))
      .finally(() => {
        this.#waiting--;
      });
    return this.#last;
  }

  #run(assignments: readonly string[]): Promise<void> {
    if (this.#isMissing) return Promise.resolve();
    const { env, log } = this.#options;
    return new Promise((resolve) => {
      let child: ChildProcess;
      try {
        child = spawn(this.#program, assignments, {
          env,
          stdio: "ignore",
          timeout: SEND_TIMEOUT_MS,
          killSignal: "SIGKILL",
        });
      } catch (error) {
        // Some errors are thrown, for example a lack of memory (ENOMEM). The next attempt may succeed.
        log.warn({ err: error, assignments }, "cannot run systemd-notify");
        resolve();
        return;
      }
      child.once("error", (error) => {
        this.#isMissing = true;
        log.warn({ err: error }, "cannot report to systemd: found no program systemd-notify");
        resolve();
      });
      child.once("exit", (code, signal) => {
        if (code !== 0) log.warn({ code, signal, assignments }, "systemd-notify failed");
        resolve();
      });
    });
  }
}

/** Returns the interval of watchdog messages: half of the manager's limit; `null`: none (sd_watchdog_enabled(3)). */
export function watchdogIntervalMs(
  env: Readonly<Record<string, string | undefined>>,
  { isSuccessor }: { isSuccessor: boolean },
): number | null {
  const limitMs = Number(env["WATCHDOG_USEC"] ?? "") / 1000;
  if (!(limitMs >= 1)) return null;
  const pid = env["WATCHDOG_PID"];
  // The limit holds for the successor of the named process too: systemd could not know its number.
  if (pid !== undefined && pid !== String(process.pid) && !isSuccessor) return null;
  return Math.max(1, Math.floor(limitMs / 2));
}

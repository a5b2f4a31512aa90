import { type ChildProcess, spawn } from "node:child_process";
import type { Logger } from "../log.ts";

/** A message that takes longer has been lost; the next ones wait for it. */
const SEND_TIMEOUT_MS = 10_000;

/** A manager that takes nothing any more learns no more than this. */
const MAX_WAITING = 16;

export interface ServiceManagerOptions {
  env: Readonly<Record<string, string | undefined>>;
  log: Logger;
  /** The program that sends; another one in tests. */
  program?: string;
  /** Whether this process was started by the one before it, whose number `WATCHDOG_PID` is. */
  isSuccessor?: boolean;
}

/**
 * Tells systemd (or what speaks its protocol, sd_notify(3)) how the service is.
 *
 * Node has no datagram sockets for Unix addresses, so `systemd-notify`, which is where systemd is, sends each message:
 * some milliseconds of a process, at moments that are rare. One at a time, in order.
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

  /** @returns `null`: nobody wants to know. */
  static find(options: ServiceManagerOptions): ServiceManager | null {
    return options.env["NOTIFY_SOCKET"] ? new ServiceManager(options) : null;
  }

  /** The service serves, also after a reload. From the first time on the manager hears that the event loop is alive. */
  ready(status: string): Promise<void> {
    this.#startWatchdog();
    return this.#send("READY=1", `STATUS=${status}`);
  }

  /** A reload begins; `ready` says that it is over. */
  reloading(): Promise<void> {
    // Of `CLOCK_MONOTONIC`, which is what hrtime reads.
    const microseconds = process.hrtime.bigint() / 1000n;
    return this.#send("RELOADING=1", `MONOTONIC_USEC=${microseconds}`, "STATUS=reloading");
  }

  /** The service ends. */
  stopping(): Promise<void> {
    return this.#send("STOPPING=1", "STATUS=finishing what is under way");
  }

  /** Another process is the service from now on. Resolves when the manager knows. */
  handOver(pid: number): Promise<void> {
    this.close();
    return this.#send(`MAINPID=${pid}`);
  }

  /** Says no more that it is alive. */
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
      // Behind others it would come late, and they say the same.
      if (this.#waiting === 0) void this.#send("WATCHDOG=1");
    }, intervalMs);
    this.#watchdog.unref();
  }

  /** Resolves when it was sent, or cannot be. */
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
        // Some errors are thrown, as that there is no memory (ENOMEM): the next time there may be.
        log.warn({ err: error, assignments }, "cannot run systemd-notify");
        resolve();
        return;
      }
      child.once("error", (error) => {
        this.#isMissing = true;
        log.warn({ err: error }, "cannot tell systemd how the service is: no systemd-notify");
        resolve();
      });
      child.once("exit", (code, signal) => {
        if (code !== 0) log.warn({ code, signal, assignments }, "systemd-notify failed");
        resolve();
      });
    });
  }
}

/** How often the manager wants to hear of this process: twice within its limit; `null`: never (sd_watchdog_enabled(3)). */
export function watchdogIntervalMs(
  env: Readonly<Record<string, string | undefined>>,
  { isSuccessor }: { isSuccessor: boolean },
): number | null {
  const limitMs = Number(env["WATCHDOG_USEC"] ?? "") / 1000;
  if (!(limitMs >= 1)) return null;
  const pid = env["WATCHDOG_PID"];
  // What the one before was told is for its successor too, which cannot have been named.
  if (pid !== undefined && pid !== String(process.pid) && !isSuccessor) return null;
  return Math.max(1, Math.floor(limitMs / 2));
}

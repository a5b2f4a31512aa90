import type { Config } from "../config/config.ts";
import { ControlServer } from "../control/control-server.ts";
import type { Operations } from "../control/operations.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { Logger } from "../log/log.ts";
import { refuseLivePidFile, removePidFile, writePidFile } from "./pid-file.ts";
import { ServiceManager } from "./service-manager.ts";
import type { StartCommand } from "./start-command.ts";
import type { Place, ServingFacts, Takeover } from "./takeover.ts";
import { settledWithin } from "../lib/settled-within.ts";
import { packageVersion } from "../lib/package-version.ts";

/**
 * Decides whether a process stays once another one serves in its place.
 *
 * A container's runtime, npm, a shell or a supervisor waits for the end of the process that it started, and would take
 * it for the end of the service. So that process stays as the parent of its successor, passes signals on, and ends as
 * the successor ends. It leaves where the successor can be found without it: systemd is told its number, or the pid
 * file names it. Process 1 always stays: its end is the end of its container.
 */
export function staysAsParent(facts: {
  pid: number;
  hasPidFile: boolean;
  hasServiceManager: boolean;
}): boolean {
  return facts.pid === 1 || !(facts.hasPidFile || facts.hasServiceManager);
}

export interface PresenceOptions {
  config: Config;
  log: Logger;
  /** `null`: it takes the place of no other server. */
  takeover: Takeover | null;
  /** Begins to stop, in order. */
  stop: () => void;
  start: StartCommand;
}

/** How long the last answers to operators may take, on the same machine. */
const ANSWER_MS = 1_000;

/**
 * How others find this server: its control socket, its pid file, and its word to systemd.
 *
 *     opened ──announce()──▶ announced ──leave(), withdraw() or handOver()──▶ left
 *
 * A server that starts is reachable at once, and its commands wait for it; one that takes another's place becomes
 * reachable when it serves.
 */
export class Presence {
  readonly #options: PresenceOptions;
  readonly #manager: ServiceManager | null;
  #control: ControlServer | null = null;
  #offer: (operations: Partial<Operations>) => void = () => {};
  #reloads = 0;
  #ownsPidFile = false;
  #hasLeft = false;
  #addresses: readonly string[] = [];

  private constructor(options: PresenceOptions) {
    this.#options = options;
    const { log, takeover } = options;
    this.#manager = ServiceManager.find({
      env: process.env,
      log,
      isSuccessor: takeover !== null,
    });
  }

  /** @throws RuntimeError `ERR_LISTEN` when another server lives that has the same state folder or pid file. */
  static async open(options: PresenceOptions): Promise<Presence> {
    const presence = new Presence(options);
    const { config, log, takeover, stop, start } = options;
    const successorOf = takeover?.place.serving ?? null;
    if (config.pidFile !== null) refuseLivePidFile(config.pidFile, { successorOf });
    const operations = new Promise<Partial<Operations>>((resolve) => {
      presence.#offer = resolve;
    });
    const { stateDir } = config;
    const version = packageVersion();
    const control = await ControlServer.open({
      stateDir,
      log,
      greet: () => {
        const { handlersDir } = config;
        const addresses = presence.#addresses;
        const { cwd: folder, startedIn } = start;
        return { pid: process.pid, version, folder, startedIn, handlersDir, addresses };
      },
      operations,
      stop,
      successorOf: successorOf ?? undefined,
    });
    presence.#control = control;
    process.once("exit", () => presence.#clear());
    if (takeover === null) control.publish();
    return presence;
  }

  /**
   * The server listens: says so to everybody, first to the one whose place it takes.
   *
   * @throws RuntimeError `ERR_LISTEN` when the pid file cannot be written, unless the old process has left already.
   */
  async announce(
    operations: Partial<Operations>,
    {
      listeners,
      addresses,
      facts,
    }: { listeners: Place["listeners"]; addresses: readonly string[]; facts: ServingFacts },
  ): Promise<void> {
    const { takeover, log } = this.#options;
    this.#addresses = addresses;
    this.#offer(operations);
    if (takeover !== null) {
      this.#control?.publish();
      await takeover.ready(listeners, facts);
      log.info({ servedBefore: takeover.place.serving }, "took over from the process before");
    }
    // A parent that stays is the process to send signals to.
    if (takeover?.isGuarded !== true) this.#writePidFile();
    void this.#manager?.ready(SERVING);
  }

  /** Says that a reload is under way while it is; several at once are one. */
  async whileReloading<T>(reload: () => Promise<T>): Promise<T> {
    if (this.#reloads++ === 0) void this.#manager?.reloading();
    try {
      return await reload();
    } finally {
      if (--this.#reloads === 0 && !this.#hasLeft) void this.#manager?.ready(SERVING);
    }
  }

  /** The server begins to stop: it takes no more commands, and another one may start. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#control?.close();
    this.#manager?.close();
    void this.#manager?.stopping();
  }

  /** Another process serves in its place, and is found there. */
  withdraw(): void {
    this.#hasLeft = true;
    this.#control?.close();
    this.#manager?.close();
  }

  /** As `withdraw`, and tells systemd which process serves. Resolves when it knows. */
  async handOver(pid: number): Promise<void> {
    this.withdraw();
    await this.#manager?.handOver(pid);
  }

  /** Resolves when each command that came before the end has its answer, or soon. */
  async answered(): Promise<void> {
    if (this.#control !== null) await settledWithin(this.#control.answered, ANSWER_MS);
  }

  #writePidFile(): void {
    const { config, takeover, log } = this.#options;
    if (config.pidFile === null) return;
    try {
      writePidFile(config.pidFile);
      this.#ownsPidFile = true;
    } catch (error) {
      // No other server could serve instead.
      if (takeover === null || !(error instanceof RuntimeError)) throw error;
      log.error({ code: error.code }, error.message);
    }
  }

  /** At the end of the process, however it ends. */
  #clear(): void {
    this.#control?.close();
    if (this.#ownsPidFile && this.#options.config.pidFile !== null) {
      removePidFile(this.#options.config.pidFile);
    }
  }
}

const SERVING = "serving";

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
 * file names it. Process 1 always stays: its end is the end of its container. A server that a process of root has launched
 * as another user stays too: that process ends with it.
 */
export function staysAsParent(facts: {
  pid: number;
  hasPidFile: boolean;
  hasServiceManager: boolean;
  isLaunched: boolean;
}): boolean {
  return facts.pid === 1 || facts.isLaunched || !(facts.hasPidFile || facts.hasServiceManager);
}

export interface PresenceOptions {
  config: Config;
  log: Logger;
  /** `null`: it takes the place of no other server. */
  takeover: Takeover | null;
  /** Whether a process of root has started this one as another user, and stays as its parent. */
  isLaunched: boolean;
  /** Begins to stop, in order. */
  stop: () => void;
  start: StartCommand;
}

/** How long the last answers to operators may take, on the same machine. */
const ANSWER_MS = 1_000;

/**
 * The ways in which other programs find this server: its control socket, its pid file, and messages to systemd.
 *
 *     opened ──announce()──▶ announced ──leave(), withdraw() or handOver()──▶ left
 *
 * Commands reach a server as soon as it starts, and wait until it serves. They reach a server that takes the place of
 * another one when it serves.
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
    const { log, takeover, isLaunched } = options;
    this.#manager = ServiceManager.find({
      env: process.env,
      log,
      isSuccessor: takeover !== null || isLaunched,
    });
  }

  /** Whether a process of root has started this one as another user. */
  get isLaunched(): boolean {
    return this.#options.isLaunched;
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
   * Reports that the server listens: first to the server whose place it takes, then to operators and systemd.
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

  /** Reports to systemd that the server reloads until `reload` ends. Several at once count as one. */
  async whileReloading<T>(reload: () => Promise<T>): Promise<T> {
    if (this.#reloads++ === 0) void this.#manager?.reloading();
    try {
      return await reload();
    } finally {
      if (--this.#reloads === 0 && !this.#hasLeft) void this.#manager?.ready(SERVING);
    }
  }

  /** Reports that the server begins to stop: it takes no more commands, and another server may start. */
  leave(): void {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    this.#control?.close();
    this.#manager?.close();
    void this.#manager?.stopping();
  }

  /** Takes no more commands: another process serves in its place, and operators find that one. */
  withdraw(): void {
    this.#hasLeft = true;
    this.#control?.close();
    this.#manager?.close();
  }

  /** As `withdraw`, and reports to systemd which process serves. Resolves when systemd has the message. */
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

  /** Removes the files at the end of the process. */
  #clear(): void {
    this.#control?.close();
    if (this.#ownsPidFile && this.#options.config.pidFile !== null) {
      removePidFile(this.#options.config.pidFile);
    }
  }
}

const SERVING = "serving";

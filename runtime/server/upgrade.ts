import { type ChildProcess, spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { EXIT, RuntimeError, toError } from "../lib/errors.ts";
import type { SocketHandle } from "../lib/socket-handle.ts";
import { TAKEOVER_VARIABLE } from "../lib/takeover-variable.ts";
import { keepsConnections } from "../lib/tcp-migration.ts";
import type { Logger } from "../log/log.ts";
import { type Deputy, type Exit, exitCodeOf } from "./shutdown.ts";
import type { StartCommand } from "./start-command.ts";
import {
  type FromSuccessor,
  NO_FACTS,
  type PassedSocket,
  type Place,
  type ServingFacts,
  type SharedPort,
  type ToSuccessor,
  type UpgradeOutcome,
} from "./takeover.ts";

/** How long a successor that is given up may take to end its workers and itself. */
const KILL_AFTER_MS = 5_000;

/** The same time when this process ends at once. */
const FORCED_KILL_AFTER_MS = 1_000;

export interface UpgraderOptions {
  log: Logger;
  start: StartCommand;
  /** Longest time until a new process serves. */
  timeoutMs: number;
  /** Whether this process stays as the parent of its successors (see `presence.ts`). */
  stays: boolean;
  listeners: () => Place["listeners"];
  /** Signals go to the deputy from now on. */
  setDeputy: (deputy: Deputy) => void;
  /** Reports to other programs that the process of this number serves from now on. */
  handOver: (pid: number) => Promise<void>;
  /** Accepts no more connections, answers the last requests of open ones, ends all workers. Idempotent. */
  leave: () => Promise<void>;
  /** As `leave`, but answers only requests in flight. */
  close: () => Promise<void>;
  /** Resolves when each command that waits has its answer, or soon. */
  answered: () => Promise<void>;
}

/**
 * The old process's side of an upgrade (`takeover.ts` is the new process's side): starts this program anew on the same
 * ports, and leaves them to the new process once that serves.
 *
 *     serving ──upgrade()──▶ asked ──"ready"──▶ leaving ──▶ exits with 0
 *        ▲                     │                   └─ stays ──▶ guarding ──the successor exits──▶ exits with its code
 *        └── the new process exits, fails or is late      │  ▲
 *                                              upgrade() ─┘  └─ "ready": the successor before leaves, or none came
 *
 * A process that stays starts each further successor itself. They are its own children, so it sees them end, and its
 * own parent sees one process all the time.
 */
export class Upgrader {
  readonly #options: UpgraderOptions;
  /** The process that serves in the place of this one; `null`: this one serves. */
  #successor: Successor | null = null;
  #upgrading: Promise<UpgradeOutcome> | null = null;
  readonly #stopping = new AbortController();

  constructor(options: UpgraderOptions) {
    this.#options = options;
  }

  get isUpgrading(): boolean {
    return this.#upgrading !== null;
  }

  /**
   * Upgrades, and logs the outcome. Calls during an upgrade share it. Resolves when the new process has the place: this
   * one may still answer requests on its connections. Never rejects: this process serves on.
   */
  upgrade(): Promise<UpgradeOutcome> {
    this.#upgrading ??= this.#upgrade()
      .catch((error: unknown): UpgradeOutcome => {
        this.#options.log.error({ err: error }, "upgrade failed: bug");
        return { kind: "refused", message: String(error) };
      })
      .finally(() => (this.#upgrading = null));
    return this.#upgrading;
  }

  /** Ends the process that is being started, since the server stops. Resolves when that process is gone. */
  async abort(): Promise<void> {
    this.#stopping.abort();
    await this.#upgrading;
  }

  async #upgrade(): Promise<UpgradeOutcome> {
    const { log, start, timeoutMs, stays, listeners } = this.#options;
    const before = this.#successor;
    const serving = before ?? { pid: process.pid, listeners: listeners() };
    const startedAtMs = performance.now();
    log.info(
      { serving: serving.pid, listeners: serving.listeners },
      "upgrading: starting the program anew beside this one",
    );
    let next: Successor;
    try {
      const shared = before === null ? serving.listeners : await before.borrowSockets();
      if (this.#stopping.signal.aborted) throw serverStops();
      next = new Successor(start, { serving: serving.pid, listeners: shared });
      before?.returnSockets();
      await next.ready(this.#stopping.signal, { timeoutMs });
    } catch (error) {
      before?.returnSockets();
      return this.#refuse(error);
    }
    const { pid, facts } = next;
    const durationMs = Math.round(performance.now() - startedAtMs);
    log.info({ successorPid: pid, durationMs }, "upgraded: the new process serves");
    this.#successor = next;
    next.onUpgradeWanted = () => void this.#upgradeFor(next);
    if (stays) void this.#endWith(next);
    if (before === null) {
      await this.#leaveTo(next);
    } else {
      await next.takeOver({ stays });
      await before.send({ type: "leave", next: { pid, facts } });
      log.info({ previousPid: before.pid }, "the previous process finishes its requests");
    }
    return { kind: "moved", pid, facts };
  }

  #refuse(error: unknown): UpgradeOutcome {
    const { log } = this.#options;
    const { message } = toError(error);
    const code = error instanceof RuntimeError ? error.code : undefined;
    if (code === "ERR_DRAINING") log.info("upgrade given up: the server stops");
    else log.error({ code }, `upgrade refused, this version serves on: ${message}`);
    return { kind: "refused", message };
  }

  /** Upgrades for the successor: only this process can be the parent of the next one. */
  async #upgradeFor(serving: Successor): Promise<void> {
    const outcome = await this.upgrade();
    if (outcome.kind === "moved") return;
    await serving.send({ type: "not-upgraded", message: outcome.message });
  }

  async #leaveTo(next: Successor): Promise<void> {
    const { stays, setDeputy, handOver, leave, log } = this.#options;
    setDeputy(this.#deputy());
    if (!keepsConnections()) {
      log.info("connections that are being made now may be lost: tcp_migrate_req is off");
    }
    // The new process has connections already: it has the place, whether or not other programs know.
    await handOver(next.pid).catch((error: unknown) =>
      log.error({ err: error }, "cannot report which process serves"),
    );
    await next.takeOver({ stays });
    void this.#endAfter(leave(), next);
  }

  async #endAfter(leaving: Promise<void>, { pid }: Successor): Promise<void> {
    const { stays, answered, log } = this.#options;
    await leaving.catch((error: unknown) => log.error({ err: error }, "cannot stop in order"));
    if (stays) {
      log.info({ successorPid: pid }, "waiting for the process that serves; signals go to it");
    } else {
      await answered();
      process.exit(EXIT.drained);
    }
  }

  /** Ends this process when the process that serves ends. */
  async #endWith(next: Successor): Promise<void> {
    const code = exitCodeOf(await next.exited);
    if (this.#successor !== next) return;
    this.#stopping.abort();
    // After a graceful stop the clients of this process have their grace too. After a crash no process serves, and
    // the service manager must know at once.
    if (code === EXIT.drained) await this.#options.leave().catch(() => {});
    process.exit(code);
  }

  #deputy(): Deputy {
    const { stays, close, answered, log } = this.#options;
    // A process that does not stay passes no signals to its successor.
    const guarded = (): Successor | null => (stays ? this.#successor : null);
    return {
      pass: (signal) => guarded()?.kill(signal),
      close: async (signal) => {
        guarded()?.kill(signal);
        this.#stopping.abort();
        await close().catch((error: unknown) => log.error({ err: error }, "cannot stop in order"));
        await answered();
        const exit = await guarded()?.exited;
        return exit === undefined ? EXIT.drained : exitCodeOf(exit);
      },
      force: async (signal) => {
        log.warn({ signal }, "stopped at once");
        await guarded()?.end(signal, FORCED_KILL_AFTER_MS);
      },
    };
  }
}

/**
 * A new process of this program, which listens on the same ports.
 *
 * While it is ready and this process has not left, the kernel gives each a share of the new connections (SO_REUSEPORT).
 */
export class Successor {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  listeners: Place["listeners"] = [];
  facts: ServingFacts = NO_FACTS;
  /** Called when this process asks for a successor of its own. */
  onUpgradeWanted: () => void = () => {};
  readonly #child: ChildProcess;
  /** It answers "pass-sockets". */
  #passes = false;
  /** Whether sockets of the process are borrowed now. */
  #loan: "open" | "over" = "over";
  /** Its sockets, while this process has them as well. */
  #borrowed: PassedSocket[] = [];
  #onSocketsPassed: () => void = () => {};

  constructor({ cwd, command: [program, ...args] }: StartCommand, place: Place) {
    const { listeners, descriptors } = passDescriptors(place.listeners);
    // In this process group, with this terminal: signals for this server reach that one too.
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, [TAKEOVER_VARIABLE]: JSON.stringify({ ...place, listeners }) },
      stdio: ["inherit", "inherit", "inherit", "ipc", ...descriptors],
    });
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.exited = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal }));
      // It was never started, so it will not exit.
      if (child.pid === undefined) resolve({ code: null, signal: null });
    });
    // Later errors mean that a signal or a message did not arrive, which the exit explains.
    child.on("error", () => {});
  }

  /**
   * Waits until it serves.
   *
   * @throws RuntimeError `ERR_BOOT_LOOP` with the reason why it does not serve; `ERR_DRAINING` when `stop` aborts. Its
   *   process is gone by then.
   */
  async ready(
    stop: AbortSignal,
    { timeoutMs, killAfterMs = KILL_AFTER_MS }: { timeoutMs: number; killAfterMs?: number },
  ): Promise<void> {
    const timeout = AbortSignal.timeout(timeoutMs);
    try {
      const answer = await this.#firstAnswer(AbortSignal.any([stop, timeout]));
      if (answer.type !== "ready") {
        throw refusal(answer.type === "failed" ? answer.message : "the new process is confused");
      }
      this.listeners = answer.listeners;
      this.facts = answer.facts ?? NO_FACTS;
      this.#passes = answer.passes ?? false;
    } catch (error) {
      await this.end("SIGTERM", killAfterMs);
      if (stop.aborted) throw serverStops();
      if (!timeout.aborted) throw error;
      throw refusal(`the new process was not ready within ${timeoutMs} ms, so it was ended`);
    }
    // Only this program writes the messages.
    this.#child.on("message", (message, handle) =>
      this.#onMessage(message as FromSuccessor, handle),
    );
  }

  /**
   * Asks it for the sockets that listen, so that the next process can inherit them: two sockets on a port would need
   * SO_REUSEPORT, which Node has from 22.12 on.
   *
   * @returns Its ports. The descriptors are valid until `returnSockets`. Ports whose socket does not come have none.
   */
  async borrowSockets(): Promise<readonly SharedPort[]> {
    this.#loan = "open";
    if (this.#passes) {
      const passed = new Promise<void>((resolve) => (this.#onSocketsPassed = resolve));
      await this.send({ type: "pass-sockets" });
      await Promise.race([passed, this.exited, delay(PASS_MS, undefined, { ref: false })]);
    }
    return this.listeners.map((listener) => {
      const { scheme, port } = listener;
      const socket = this.#borrowed.find((each) => each.scheme === scheme && each.port === port);
      return socket === undefined ? listener : { ...listener, descriptor: socket.handle.fd };
    });
  }

  /** Closes the sockets in this process. Without that, they would hold connections after their owner has ended. */
  returnSockets(): void {
    this.#loan = "over";
    for (const { handle } of this.#borrowed.splice(0)) handle.close();
  }

  #onMessage(message: FromSuccessor, handle: unknown): void {
    if (message.type === "upgrade") this.onUpgradeWanted();
    else if (message.type === "sockets-passed") {
      if (this.#loan === "open") this.#onSocketsPassed();
    } else if (message.type === "socket" && handle !== undefined && handle !== null) {
      const { scheme, port } = message;
      // It was sent as a handle, so it comes as one, and accepts nothing.
      const socket = { scheme, port, handle: handle as SocketHandle };
      if (this.#loan === "open") this.#borrowed.push(socket);
      // It comes after the time for it: kept here, it would hold connections that no process accepts.
      else socket.handle.close();
    }
  }

  #firstAnswer(stop: AbortSignal): Promise<FromSuccessor> {
    return new Promise((resolve, reject) => {
      this.#child.once("message", (answer) => resolve(answer as FromSuccessor));
      this.#child.once("error", ({ message }) =>
        reject(refusal(`the new process does not start: ${message}`)),
      );
      // Comes after the last message, unlike "exit".
      this.#child.once("close", (code, signal) => {
        const end = signal ?? `code ${code}`;
        reject(refusal(`the new process ended with ${end} before it was ready`));
      });
      const giveUp = (): void => reject(new Error("it is not wanted any more"));
      stop.addEventListener("abort", giveUp, { once: true });
      if (stop.aborted) giveUp();
    });
  }

  /** Gives the place to it. `stays`: this process stays as its parent, and both end together. */
  async takeOver({ stays }: { stays: boolean }): Promise<void> {
    await this.send({ type: "take-over", stays });
    if (stays) return;
    if (this.#child.connected) this.#child.disconnect();
    this.#child.unref();
  }

  /** Resolves when the message is on its way. A process that is gone gets none, and its exit reports that. */
  send(message: ToSuccessor): Promise<void> {
    return new Promise((resolve) => {
      if (this.#child.connected) this.#child.send(message, () => resolve());
      else resolve();
    });
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Ends it by a signal, or by SIGKILL when that takes too long. */
  async end(signal: NodeJS.Signals, killAfterMs: number): Promise<void> {
    this.kill(signal);
    // A stopped process reacts to nothing else.
    const timer = setTimeout(() => this.kill("SIGKILL"), killAfterMs);
    await this.exited;
    clearTimeout(timer);
    if (this.#child.connected) this.#child.disconnect();
  }
}

/** Longest time until a process that serves has passed its sockets. */
const PASS_MS = 10_000;

/** The first descriptor behind those for input, output, errors and messages. */
const FIRST_PASSED = 4;

/** Returns the descriptors that a new process inherits, and the listeners with the numbers that it sees. */
function passDescriptors(given: Place["listeners"]): {
  listeners: Place["listeners"];
  descriptors: number[];
} {
  const descriptors: number[] = [];
  const listeners = given.map((listener) => {
    if (listener.descriptor === undefined) return listener;
    descriptors.push(listener.descriptor);
    return { ...listener, descriptor: FIRST_PASSED + descriptors.length - 1 };
  });
  return { listeners, descriptors };
}

function serverStops(): RuntimeError {
  return new RuntimeError("ERR_DRAINING", "Cannot upgrade: the server stops");
}

function refusal(reason: string): RuntimeError {
  return new RuntimeError("ERR_BOOT_LOOP", `Cannot upgrade: ${reason}`);
}

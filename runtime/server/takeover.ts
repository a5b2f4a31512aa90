import type { SendHandle } from "node:child_process";
import type { SocketHandle } from "../lib/socket-handle.ts";
import { TAKEOVER_VARIABLE } from "../lib/takeover-variable.ts";

/** A port on which two servers listen while the new one takes the place of the old one. */
export interface SharedPort {
  scheme: "http" | "https";
  port: number;
  /**
   * Descriptor of the socket that listens there; absent: the new process binds the port itself. In the process of the
   * listener it is the number there, in a `Place` the number in the new process.
   */
  descriptor?: number;
}

/** A socket that listens on a port. */
export interface PassedSocket {
  scheme: "http" | "https";
  port: number;
  handle: SocketHandle;
}

/** The place that a server takes. */
export interface Place {
  /** Process id of the server that serves now: the parent, or another child of a parent that stayed. */
  serving: number;
  /** The ports on which that server listens. */
  listeners: readonly SharedPort[];
}

/** Facts about a server that serves, for the operator who asked for it. */
export interface ServingFacts {
  /** Id of its generation; `null`: the server does not report it. */
  generation: string | null;
  /** One line each. */
  warnings: readonly string[];
}

/** Facts of a server that reports none. */
export const NO_FACTS: ServingFacts = Object.freeze({ generation: null, warnings: [] });

/**
 * A message of the new process. The old process may run another version of this program: members may be added, and none
 * may change.
 */
export type FromSuccessor =
  /** `passes`: it answers "pass-sockets". */
  | { type: "ready"; listeners: readonly SharedPort[]; facts?: ServingFacts; passes?: true }
  | { type: "failed"; message: string }
  /** Answers "pass-sockets", with a socket that listens on this port. */
  | { type: "socket"; scheme: "http" | "https"; port: number }
  /** Comes after the last socket. */
  | { type: "sockets-passed" }
  /** Asks the parent that stays for an upgrade. */
  | { type: "upgrade" };

/** A message of the old process. The same rule holds. */
export type ToSuccessor =
  /** The new process has the place. `stays`: the old process stays as its parent and passes signals on. */
  | { type: "take-over"; stays: boolean }
  /** Asks for the sockets that listen, for the next process: only their owner has them, and the parent starts it. */
  | { type: "pass-sockets" }
  /** Another server has taken the place of the receiver. */
  | { type: "leave"; next?: { pid: number; facts: ServingFacts } }
  /** Answers "upgrade": the receiver serves on. */
  | { type: "not-upgraded"; message: string };

/** The result of an upgrade. */
export type UpgradeOutcome =
  | { kind: "moved"; pid: number; facts: ServingFacts }
  | { kind: "refused"; message: string };

/** Returns how long a new process may take until it serves. A build takes a minute at most, settings come before it. */
export function readyTimeoutMs(bootTimeoutMs: number): number {
  return 75_000 + bootTimeoutMs;
}

/** Time that the parent may take to answer after the new process had its time. */
const ANSWER_MS = 5_000;

/**
 * The new process's side of an upgrade (`upgrade.ts` is the old process's side).
 *
 *     starting ──ready()──▶ ready ──"take-over"─┬─▶ guarded ──"leave"──▶ another process serves
 *         │                   │                 └─▶ alone      │
 *         └───────────────────┴──── the parent ends: stops ────┘
 *
 * The parent of a guarded process stays: both end together. A process that is alone has no link to its parent any more.
 */
export class Takeover {
  readonly place: Place;
  readonly #onLeave: () => void;
  /** Returns the sockets that the next process may use. */
  sockets: () => readonly PassedSocket[] = () => [];
  #state: "starting" | "guarded" | "alone" = "starting";
  #onTakeOver: () => void = () => {};
  #onUpgraded: (outcome: UpgradeOutcome) => void = () => {};
  #upgrading: Promise<UpgradeOutcome> | null = null;

  private constructor(place: Place, onLeave: () => void) {
    this.place = place;
    this.#onLeave = onLeave;
  }

  /**
   * Returns the takeover for which this process was started; `null`: the operator started it.
   *
   * @param options.onOrphaned The old process has ended before this process had the place, or its guardian has ended.
   * @param options.onLeave Another server serves in the place of this process.
   */
  static receive(options: { onOrphaned: () => void; onLeave: () => void }): Takeover | null {
    const text = process.env[TAKEOVER_VARIABLE];
    // Workers and successors of this process must not read it.
    delete process.env[TAKEOVER_VARIABLE];
    if (text === undefined || process.send === undefined) return null;
    // Only this program writes the variable and the messages.
    const takeover = new Takeover(JSON.parse(text) as Place, options.onLeave);
    process.on("message", (message) => takeover.#onMessage(message as ToSuccessor));
    process.once("disconnect", () => {
      if (takeover.#state !== "alone") options.onOrphaned();
    });
    // The open channel alone does not keep this process alive.
    process.channel?.unref();
    return takeover;
  }

  /** Whether this process still waits for its place. */
  get isWaiting(): boolean {
    return this.#state === "starting";
  }

  /** Whether the old process stays as the parent of this process. */
  get isGuarded(): boolean {
    return this.#state === "guarded";
  }

  get isUpgrading(): boolean {
    return this.#upgrading !== null;
  }

  /** Reports that this server serves. Resolves when this process has the place. */
  async ready(listeners: readonly SharedPort[], facts: ServingFacts): Promise<void> {
    const taken = new Promise<void>((resolve) => (this.#onTakeOver = resolve));
    await send({ type: "ready", listeners, facts, passes: true });
    await taken;
  }

  /** Reports why this server will not serve. Resolves when the message was sent, or cannot be. */
  failed(message: string): Promise<void> {
    return send({ type: "failed", message });
  }

  /** Asks the guardian for an upgrade. Calls during an upgrade share its outcome. */
  upgrade(bootTimeoutMs: number): Promise<UpgradeOutcome> {
    const timeoutMs = readyTimeoutMs(bootTimeoutMs) + ANSWER_MS;
    this.#upgrading ??= this.#askGuardian(timeoutMs).finally(() => (this.#upgrading = null));
    return this.#upgrading;
  }

  #askGuardian(timeoutMs: number): Promise<UpgradeOutcome> {
    return new Promise((resolve) => {
      const message = `process ${process.ppid}, the parent of this server, has not answered within ${timeoutMs} ms`;
      const timer = setTimeout(() => resolve({ kind: "refused", message }), timeoutMs).unref();
      this.#onUpgraded = (outcome) => {
        clearTimeout(timer);
        resolve(outcome);
      };
      void send({ type: "upgrade" });
    });
  }

  async #passSockets(): Promise<void> {
    for (const { scheme, port, handle } of this.sockets()) {
      await send({ type: "socket", scheme, port }, handle);
    }
    await send({ type: "sockets-passed" });
  }

  #onMessage(message: ToSuccessor): void {
    switch (message.type) {
      case "take-over":
        // At once: the end of the channel may be the next event.
        this.#state = message.stays ? "guarded" : "alone";
        this.#onTakeOver();
        break;
      case "pass-sockets":
        void this.#passSockets();
        break;
      case "leave": {
        const { pid = 0, facts = NO_FACTS } = message.next ?? {};
        this.#onLeave();
        this.#onUpgraded({ kind: "moved", pid, facts });
        break;
      }
      case "not-upgraded":
        this.#onUpgraded({ kind: "refused", message: message.message });
    }
  }
}

/**
 * Resolves when the message is on its way. If the parent is gone, the end of the channel reports that.
 *
 * @param handle A socket that the parent gets with it.
 */
function send(message: FromSuccessor, handle?: SocketHandle): Promise<void> {
  return new Promise((resolve) => {
    // Node sends it, too.
    const sent = handle as SendHandle | undefined;
    if (process.connected) process.send?.(message, sent, {}, () => resolve());
    else resolve();
  });
}

import { TAKEOVER_VARIABLE } from "../lib/takeover-variable.ts";

/** A port that two servers listen on while one takes the other's place. */
export interface SharedPort {
  scheme: "http" | "https";
  port: number;
}

/** The place that a server takes. */
export interface Place {
  /** Process id of the server that serves now: the parent, or another child of a parent that stayed. */
  serving: number;
  /** The ports that it listens on. */
  listeners: readonly SharedPort[];
}

/** Facts about a server that serves, for the operator that asked for it. */
export interface ServingFacts {
  /** Id of the generation that it serves; `null`: it does not say. */
  generation: string | null;
  /** One line each. */
  warnings: readonly string[];
}

/** A message of the new server. */
export type FromSuccessor =
  | { type: "ready"; listeners: SharedPort[]; facts?: ServingFacts }
  | { type: "failed"; message: string }
  /** Asks the parent that stays to raise another server in this one's place. */
  | { type: "upgrade" };

/** A message of the old server, or of the parent that it has become. */
export type ToSuccessor =
  /** The place is free. `stays`: the parent stays, keeps its process id known, and passes signals on. */
  | { type: "take-over"; stays: boolean }
  /** Another server has taken the place. */
  | { type: "leave"; next?: { pid: number; facts: ServingFacts } }
  /** The server that it asked for with "upgrade" does not come. */
  | { type: "not-upgraded"; message: string };

/** The result of an upgrade. */
export type UpgradeOutcome =
  | { kind: "moved"; pid: number; facts: ServingFacts }
  | { kind: "refused"; message: string };

/**
 * The new server's side of an upgrade (see `Successor` for the old one's).
 *
 *     starting ──ready()──▶ ready ──"take-over"──▶ in place
 *
 * If the old server ends before it has left its place, the new one ends too. After that it ends with the old server
 * only if the old one stays.
 */
export class Takeover {
  /** Process id of the parent. */
  readonly parent: number = process.ppid;
  readonly place: Place;
  #isLeft = false;
  #onTakeOver: (answer: { stays: boolean }) => void = () => {};
  #onUpgraded: (outcome: UpgradeOutcome) => void = () => {};
  #upgrading: Promise<UpgradeOutcome> | null = null;
  readonly #onLeave: () => void;

  private constructor(place: Place, onLeave: () => void) {
    this.place = place;
    this.#onLeave = onLeave;
  }

  /**
   * Tells whether this process was started to take another server's place.
   *
   * @param options.onOrphaned The old server ended without leaving its place, or the parent that it has become ended.
   * @param options.onLeave Another server serves in this one's place.
   */
  static receive(options: { onOrphaned: () => void; onLeave: () => void }): Takeover | null {
    const text = process.env[TAKEOVER_VARIABLE];
    // Hide it from workers, and from a successor of this process.
    delete process.env[TAKEOVER_VARIABLE];
    if (text === undefined || process.send === undefined) return null;
    // No other process has this channel.
    const takeover = new Takeover(JSON.parse(text) as Place, options.onLeave);
    process.on("message", (message) => takeover.#onMessage(message as ToSuccessor));
    process.once("disconnect", () => {
      if (!takeover.#isLeft) options.onOrphaned();
    });
    // The program does not wait for the end of the channel.
    process.channel?.unref();
    return takeover;
  }

  /** Reports that this server serves. Resolves when the old one leaves its place. */
  async ready(listeners: readonly SharedPort[], facts: ServingFacts): Promise<{ stays: boolean }> {
    const answer = new Promise<{ stays: boolean }>((resolve) => (this.#onTakeOver = resolve));
    await send({ type: "ready", listeners: [...listeners], facts });
    return answer;
  }

  /**
   * Asks the parent that stays to raise another server in this one's place. The outcome comes within `timeoutMs`. Calls
   * during an upgrade share its outcome.
   */
  upgrade(timeoutMs: number): Promise<UpgradeOutcome> {
    this.#upgrading ??= this.#askParent(timeoutMs).finally(() => (this.#upgrading = null));
    return this.#upgrading;
  }

  async #askParent(timeoutMs: number): Promise<UpgradeOutcome> {
    let timer: NodeJS.Timeout | undefined;
    const outcome = new Promise<UpgradeOutcome>((resolve) => {
      this.#onUpgraded = resolve;
      const message = `process ${this.parent}, the parent of this server, has not answered within ${timeoutMs} ms`;
      timer = setTimeout(() => resolve({ kind: "refused", message }), timeoutMs).unref();
    });
    await send({ type: "upgrade" });
    try {
      return await outcome;
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reports why this server will not serve. Resolves when the message was sent, or cannot be. */
  failed(message: string): Promise<void> {
    return send({ type: "failed", message });
  }

  #onMessage(answer: ToSuccessor): void {
    if (answer.type === "not-upgraded") {
      this.#onUpgraded({ kind: "refused", message: answer.message });
      return;
    }
    if (answer.type === "leave") {
      const { pid = 0, facts = NO_FACTS } = answer.next ?? {};
      this.#onLeave();
      this.#onUpgraded({ kind: "moved", pid, facts });
      return;
    }
    // Set it at once: the end of the channel may be the next event.
    this.#isLeft = !answer.stays;
    this.#onTakeOver(answer);
  }
}

/** For a server that reports no facts. */
export const NO_FACTS: ServingFacts = Object.freeze({ generation: null, warnings: [] });

function send(message: FromSuccessor): Promise<void> {
  // The end of the channel reports an old server that is gone.
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, {}, () => resolve());
    else resolve();
  });
}

/** A port that two servers listen on while one takes the other's place. */
export interface SharedPort {
  scheme: "http" | "https";
  port: number;
}

/** Whose place a server takes. */
export interface Place {
  /** Process id of the server that serves now: the parent, or another child of a parent that stayed. */
  serving: number;
  /** What it listens on. */
  listeners: readonly SharedPort[];
}

/** Names what a server leaves to the one that it starts in its place. Not for others to set. */
export const TAKEOVER_VARIABLE = "EDGICORN_TAKEOVER";

/** Facts about a server that serves, for the operator who asked for it. */
export interface ServingFacts {
  /** Id of the generation that it serves; `null`: it does not say. */
  generation: string | null;
  /** One line each. */
  warnings: readonly string[];
}

/** What the new server says. */
export type FromSuccessor =
  | { type: "ready"; listeners: SharedPort[]; facts?: ServingFacts }
  | { type: "failed"; message: string }
  /** Asks the parent that stays to raise another server in this one's place. */
  | { type: "upgrade" };

/** What the old server says, or the parent that it has become. */
export type ToSuccessor =
  /** The place is free. `stays`: the parent goes on as the one that others know, and passes signals on. */
  | { type: "take-over"; stays: boolean }
  /** Another one has taken the place. */
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
 * The end of the old server before it has left its place ends the new one too; afterwards only if it said that it stays.
 */
export class Takeover {
  /** Process id of who has started this one. */
  readonly parent: number = process.ppid;
  readonly place: Place;
  #isLeft = false;
  #onTakeOver: (answer: { stays: boolean }) => void = () => {};
  #onUpgraded: (outcome: UpgradeOutcome) => void = () => {};
  readonly #onLeave: () => void;

  private constructor(place: Place, onLeave: () => void) {
    this.place = place;
    this.#onLeave = onLeave;
  }

  /**
   * Finds out whether this process was started to take another one's place.
   *
   * @param options.onOrphaned The old server ended without having left its place, or the parent that it has become ended.
   * @param options.onLeave Another one serves in this one's place.
   */
  static receive(options: { onOrphaned: () => void; onLeave: () => void }): Takeover | null {
    const text = process.env[TAKEOVER_VARIABLE];
    // Neither workers nor a successor of this one shall see it.
    delete process.env[TAKEOVER_VARIABLE];
    if (text === undefined || process.send === undefined) return null;
    // Nobody else has a channel to us.
    const takeover = new Takeover(JSON.parse(text) as Place, options.onLeave);
    process.on("message", (message) => takeover.#onMessage(message as ToSuccessor));
    process.once("disconnect", () => {
      if (!takeover.#isLeft) options.onOrphaned();
    });
    // The end of the program does not wait for it.
    process.channel?.unref();
    return takeover;
  }

  /** Says that this one serves, and resolves when the old server leaves its place. */
  async ready(listeners: readonly SharedPort[], facts: ServingFacts): Promise<{ stays: boolean }> {
    const answer = new Promise<{ stays: boolean }>((resolve) => (this.#onTakeOver = resolve));
    await send({ type: "ready", listeners: [...listeners], facts });
    return answer;
  }

  /** Asks the parent that stays to raise another server in this one's place. The outcome comes within `timeoutMs`. */
  async upgrade(timeoutMs: number): Promise<UpgradeOutcome> {
    const outcome = new Promise<UpgradeOutcome>((resolve) => {
      this.#onUpgraded = resolve;
      const message = `process ${this.parent}, the parent of this server, has not answered within ${timeoutMs} ms`;
      setTimeout(() => resolve({ kind: "refused", message }), timeoutMs).unref();
    });
    await send({ type: "upgrade" });
    return outcome;
  }

  /** Says why this one will not serve. Resolves when that has been said, or cannot be. */
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
    // At once: the end of the channel may be the next event.
    this.#isLeft = !answer.stays;
    this.#onTakeOver(answer);
  }
}

/** Of a server that says nothing of itself. */
export const NO_FACTS: ServingFacts = Object.freeze({ generation: null, warnings: [] });

function send(message: FromSuccessor): Promise<void> {
  // An old server that is gone is told of by the end of the channel.
  return new Promise((resolve) => {
    if (process.connected) process.send?.(message, undefined, {}, () => resolve());
    else resolve();
  });
}

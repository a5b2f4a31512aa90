/** Something that happened to a server, beside its requests. */
export interface ServerEvent {
  /** 1 for the first one since the start. */
  readonly number: number;
  /** In ms since 1970. */
  readonly timeMs: number;
  /** `recycle` and `drain` are commands of operators, `worker` is the loss of a worker. */
  readonly kind: "reload" | "rollback" | "recycle" | "drain" | "worker";
  readonly isGood: boolean;
  /** One line for a person. */
  readonly text: string;
}

/** Most events that are kept. */
const MOST_EVENTS = 50;

/** The newest events of a server. */
export class ServerEvents {
  /** Oldest first. */
  readonly #events: ServerEvent[] = [];
  #count = 0;

  /** The newest first. */
  get all(): readonly ServerEvent[] {
    return this.#events.toReversed();
  }

  add(event: Omit<ServerEvent, "timeMs" | "number">): void {
    this.#count++;
    this.#events.push({ number: this.#count, timeMs: Date.now(), ...event });
    if (this.#events.length > MOST_EVENTS) this.#events.shift();
  }
}

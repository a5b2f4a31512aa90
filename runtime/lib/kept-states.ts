/**
 * States that outlive a reload: the buckets and counts of limits, lists of users, connections to services. They live
 * outside of the config, under a name that describes them, so that a reload that does not change a limit does not
 * forget its clients.
 */
export class KeptStates {
  #states: ReadonlyMap<string, unknown> = new Map();

  /** Begins the next set of states: that of a config or a generation that is being built. */
  begin(): NextStates {
    return new NextStates(this.#states, (states) => (this.#states = states));
  }

  /** Returns the present state of a name. `undefined`: there is none. */
  find(name: string): unknown {
    return this.#states.get(name);
  }

  /** The number of states. */
  get size(): number {
    return this.#states.size;
  }
}

/** The next set of states: those of the present one that the next config still has, and new ones. */
export class NextStates {
  readonly #present: ReadonlyMap<string, unknown>;
  readonly #next = new Map<string, unknown>();
  readonly #use: (states: ReadonlyMap<string, unknown>) => void;

  constructor(
    present: ReadonlyMap<string, unknown>,
    use: (states: ReadonlyMap<string, unknown>) => void,
  ) {
    this.#present = present;
    this.#use = use;
  }

  /**
   * Returns a state, or creates it.
   *
   * @param name Names the state: its kind, its place and all settings on which it depends. Two callers with the same
   *   name share one state. A name must always belong to the same type.
   */
  take<T>(name: string, create: () => T): T {
    const found = this.#next.get(name) ?? this.#present.get(name);
    const state = found ?? create();
    this.#next.set(name, state);
    // The caller uses one type for a name.
    return state as T;
  }

  /** Makes these the present states, and drops those that no caller has taken. */
  commit(): void {
    this.#use(this.#next);
  }
}

/**
 * The states of all limits: buckets and counts. They live outside of the config, under a name that describes the limit,
 * so that a reload that does not change a limit does not forget its clients.
 */
export class LimitStates {
  #states: ReadonlyMap<string, unknown> = new Map();

  /** Begins the next set of limits: that of a site or a generation that is being built. */
  begin(): NextLimitStates {
    return new NextLimitStates(this.#states, (states) => (this.#states = states));
  }

  /** The number of states. */
  get size(): number {
    return this.#states.size;
  }
}

/** The states of the next config: those of the present one, as far as the next has the same limits, and new ones. */
export class NextLimitStates {
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
   * Returns the state of a limit, or creates it.
   *
   * @param name Names the limit: its kind, its place and all settings that its state depends on. Two limits with the
   *   same name share one state. A name must always belong to the same type.
   */
  take<T>(name: string, create: () => T): T {
    const found = this.#next.get(name) ?? this.#present.get(name);
    const state = found ?? create();
    this.#next.set(name, state);
    // The caller uses one type for a name.
    return state as T;
  }

  /** Makes these the present states, and drops those that no limit has taken. */
  commit(): void {
    this.#use(this.#next);
  }
}

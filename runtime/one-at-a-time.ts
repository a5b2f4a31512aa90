/** Runs a task, never twice at a time: all who ask while it runs share the one run that follows. */
export class OneAtATime<T = void> {
  readonly #task: () => Promise<T>;
  #running: Promise<T> | null = null;
  #waiting: Promise<T> | null = null;

  constructor(task: () => Promise<T>) {
    this.#task = task;
  }

  /** Settles as a run does that has started after this was asked for. */
  run(): Promise<T> {
    if (this.#running === null) return this.#start();
    this.#waiting ??= settled(this.#running).then(() => {
      this.#waiting = null;
      return this.#start();
    });
    return this.#waiting;
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#running !== null) await settled(this.#waiting ?? this.#running);
  }

  #start(): Promise<T> {
    this.#running = this.#runOnce();
    return this.#running;
  }

  async #runOnce(): Promise<T> {
    try {
      return await this.#task();
    } finally {
      // What waits takes its place in a moment; until then nobody else may.
      if (this.#waiting === null) this.#running = null;
    }
  }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  await Promise.allSettled([promise]);
}

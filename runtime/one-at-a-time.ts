/** Runs a task, never twice at a time: all who ask while it runs share the one run that follows. */
export class OneAtATime {
  readonly #task: () => Promise<void>;
  #running: Promise<void> | null = null;
  #waiting: Promise<void> | null = null;

  constructor(task: () => Promise<void>) {
    this.#task = task;
  }

  /** Settles as a run does that has started after this was asked for. */
  run(): Promise<void> {
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

  #start(): Promise<void> {
    this.#running = this.#runOnce();
    return this.#running;
  }

  async #runOnce(): Promise<void> {
    try {
      await this.#task();
    } finally {
      // What waits takes its place in a moment; until then nobody else may.
      if (this.#waiting === null) this.#running = null;
    }
  }
}

function settled(promise: Promise<void>): Promise<void> {
  return promise.catch(() => {});
}

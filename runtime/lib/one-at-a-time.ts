/** Runs a task, never twice at the same time. All calls during a run share the next run. */
export class OneAtATime<T = void> {
  readonly #task: () => Promise<T>;
  #running: Promise<T> | null = null;
  #waiting: Promise<T> | null = null;

  constructor(task: () => Promise<T>) {
    this.#task = task;
  }

  /** Returns the result of a run that starts after this call. */
  run(): Promise<T> {
    if (this.#running === null) return this.#start();
    this.#waiting ??= settled(this.#running).then(() => {
      this.#waiting = null;
      return this.#start();
    });
    return this.#waiting;
  }

  /** Resolves when no task runs or waits. */
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
      // If a run waits, it starts in a moment. Until then no other call may start one.
      if (this.#waiting === null) this.#running = null;
    }
  }
}

async function settled(promise: Promise<unknown>): Promise<void> {
  await Promise.allSettled([promise]);
}

import { RuntimeError } from "../lib/errors.ts";

/** Most waiting tasks. Operators cannot start more on purpose. */
const MOST_WAITING = 16;

/** Runs tasks one after another, in the order of the calls. */
export class InTurn {
  #last: Promise<unknown> = Promise.resolve();
  #count = 0;

  /**
   * Runs the task after all earlier ones have succeeded or failed. Settles like the task.
   *
   * @throws RuntimeError `ERR_OVERLOADED` when too many tasks wait already.
   */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#count > MOST_WAITING) {
      throw new RuntimeError(
        "ERR_OVERLOADED",
        `Cannot queue a reload or rollback: found ${this.#count} in the queue, expected at most ${MOST_WAITING}`,
      );
    }
    this.#count++;
    const done = this.#last.then(task).finally(() => this.#count--);
    this.#last = done.catch(() => {});
    return done;
  }

  /** Resolves when no task runs or waits. */
  async idle(): Promise<void> {
    while (this.#count > 0) await this.#last;
  }
}

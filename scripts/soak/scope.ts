import type { Owner } from "../../test/helpers/temporary-folder.ts";

/** Owns what a soak opens, as a test does for what it opens, and closes it when the soak is over. */
export class Scope implements Owner {
  readonly #callbacks: (() => void | Promise<void>)[] = [];
  #closed: Promise<void> | null = null;

  after(callback: () => void | Promise<void>): void {
    this.#callbacks.push(callback);
  }

  /**
   * Runs all callbacks, also when one of them fails. Idempotent.
   *
   * @throws What the first of those threw that failed.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    const failures: Error[] = [];
    for (const callback of this.#callbacks) {
      try {
        await callback();
      } catch (error) {
        failures.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
    const [first] = failures;
    if (first !== undefined) throw first;
  }
}

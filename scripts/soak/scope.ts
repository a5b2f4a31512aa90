import type { Owner } from "../../test/helpers/temporary-folder.ts";

/** Owns the resources of a soak, as a test's context does, and closes them at the end of the soak. */
export class Scope implements Owner {
  readonly #callbacks: (() => void | Promise<void>)[] = [];
  #closed: Promise<void> | null = null;

  after(callback: () => void | Promise<void>): void {
    this.#callbacks.push(callback);
  }

  /**
   * Runs all callbacks, also when one of them fails. Idempotent.
   *
   * @throws The first error.
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

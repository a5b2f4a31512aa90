import type { Owner } from "./temporary-folder.ts";

/** Owns what all tests of a suite share. Ends it with `end`, from the suite's `after`. */
export class SuiteOwner implements Owner {
  readonly #callbacks: (() => void | Promise<void>)[] = [];

  after(callback: () => void | Promise<void>): void {
    this.#callbacks.push(callback);
  }

  /** Runs all callbacks, also after one that fails: a server that runs on would keep the process of the tests. */
  async end(): Promise<void> {
    const errors: unknown[] = [];
    for (const callback of this.#callbacks) {
      try {
        await callback();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, errors.map(String).join("\n"));
  }
}

import type { Owner } from "./temporary-folder.ts";

/** Owns what all tests of a suite share. Ends it with `end`, from the suite's `after`. */
export class SuiteOwner implements Owner {
  readonly #callbacks: (() => void | Promise<void>)[] = [];

  after(callback: () => void | Promise<void>): void {
    this.#callbacks.push(callback);
  }

  async end(): Promise<void> {
    for (const callback of this.#callbacks) await callback();
  }
}

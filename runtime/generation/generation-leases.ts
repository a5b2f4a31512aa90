import { toGenerationDir } from "./generation-store.ts";
import { releaseLease, writeLease } from "./lease.ts";

/**
 * This process's leases on generations: one file per generation, however many holders it has.
 *
 * Files are written and removed in the order of the calls, so that the last call wins.
 */
export class GenerationLeases {
  readonly #stateDir: string;
  readonly #holders = new Map<string, number>();
  #last: Promise<void> = Promise.resolve();

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
  }

  /** Adds a holder to a generation that is leased already, by the build or by another holder. */
  hold(id: string): void {
    this.#holders.set(id, (this.#holders.get(id) ?? 0) + 1);
  }

  /** Leases a generation that is on disk, and holds it. The caller must check afterwards that it is still there. */
  async take(id: string): Promise<void> {
    this.hold(id);
    const dir = toGenerationDir(this.#stateDir, id);
    await this.#inTurn(async () => {
      // A missing folder needs no lease.
      await writeLease(dir, process.pid).catch(() => {});
    });
  }

  /** Removes one holder. The last one gives the lease back. */
  async release(id: string): Promise<void> {
    const holders = (this.#holders.get(id) ?? 1) - 1;
    if (holders > 0) {
      this.#holders.set(id, holders);
      return;
    }
    this.#holders.delete(id);
    const dir = toGenerationDir(this.#stateDir, id);
    await this.#inTurn(() => releaseLease(dir, process.pid));
  }

  async #inTurn(task: () => Promise<void>): Promise<void> {
    const done = this.#last.then(task);
    this.#last = done.catch(() => {});
    await done;
  }
}

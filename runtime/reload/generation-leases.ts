import { toGenerationDir } from "../generation/generation-store.ts";
import { releaseLease, writeLease } from "../generation/lease.ts";

/**
 * The leases that this process has on generations: one file each, however many hold it.
 *
 * Files are written and removed in the order in which that was asked for, so that the last word counts.
 */
export class GenerationLeases {
  readonly #stateDir: string;
  readonly #holders = new Map<string, number>();
  #last: Promise<void> = Promise.resolve();

  constructor(stateDir: string) {
    this.#stateDir = stateDir;
  }

  /** One more holder of a generation that is leased already: by the build, or by who holds it now. */
  hold(id: string): void {
    this.#holders.set(id, (this.#holders.get(id) ?? 0) + 1);
  }

  /** Leases a generation that is on disk, and holds it. Whether it is there must be looked at afterwards. */
  async take(id: string): Promise<void> {
    this.hold(id);
    const dir = toGenerationDir(this.#stateDir, id);
    await this.#inTurn(async () => {
      // Where there is no such folder, there is nothing to keep.
      await writeLease(dir, process.pid).catch(() => {});
    });
  }

  /** One holder less; the last one gives the lease back. */
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

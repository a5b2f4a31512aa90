/** Jobs that run at the same time. The threads that write are shared with all other work on files. */
const MOST_RUNNING = 2;

/** Bytes that wait. Entries beyond them stay in memory only. */
const MOST_WAITING_BYTES = 32 * 1024 * 1024;

/** Writes entries one after the other, in the background. */
export class WriteQueue<T extends { readonly weightBytes: number }> {
  readonly #write: (entry: T) => Promise<void>;
  readonly #waiting = new Set<T>();
  readonly #running = new Set<Promise<void>>();
  #waitingBytes = 0;

  /** @param write Never throws. */
  constructor(write: (entry: T) => Promise<void>) {
    this.#write = write;
  }

  /** Returns `false` when too much is waiting already. */
  push(entry: T): boolean {
    if (this.#waitingBytes + entry.weightBytes > MOST_WAITING_BYTES) return false;
    this.#waiting.add(entry);
    this.#waitingBytes += entry.weightBytes;
    this.#work();
    return true;
  }

  /** Waits for the jobs that run now. */
  async settled(): Promise<void> {
    await Promise.all(this.#running);
  }

  /** Waits until no job is left. */
  async idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #work(): void {
    for (const entry of this.#waiting) {
      if (this.#running.size >= MOST_RUNNING) return;
      this.#waiting.delete(entry);
      this.#waitingBytes -= entry.weightBytes;
      const running = this.#write(entry).finally(() => {
        this.#running.delete(running);
        this.#work();
      });
      this.#running.add(running);
    }
  }
}

import type { StaticFile } from "./static-file.ts";

/** Memory for the content of small files. */
export const DEFAULT_RESIDENT_BYTES = 64 * 1024 * 1024;

/**
 * Keeps the content of small files in memory, within a budget in bytes.
 *
 * When memory is short, drops the oldest file that was not served since memory was last short (second chance, also
 * called CLOCK). This is nearly as good as dropping the least recently used, and a hit costs one store to a field.
 */
export class ResidentBytes {
  readonly #budgetBytes: number;
  readonly #files = new Set<StaticFile>();
  #totalBytes = 0;

  constructor(budgetBytes: number) {
    this.#budgetBytes = budgetBytes;
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  /** Keeps the whole content of a file, unless the file is out of date or alone exceeds the budget. */
  admit(file: StaticFile, bytes: Buffer): void {
    if (file.isRetired || file.bytes !== null || bytes.length > this.#budgetBytes) return;
    this.#makeRoom(bytes.length);
    file.bytes = bytes;
    file.isRecentlyUsed = false;
    this.#files.add(file);
    this.#totalBytes += bytes.length;
  }

  drop(file: StaticFile): void {
    if (!this.#files.delete(file)) return;
    this.#totalBytes -= file.bytes?.length ?? 0;
    file.bytes = null;
  }

  clear(): void {
    for (const file of this.#files) this.drop(file);
  }

  #makeRoom(neededBytes: number): void {
    // The loop reaches a file that was added again once more at the end, without its mark. So the loop ends.
    for (const file of this.#files) {
      if (this.#totalBytes + neededBytes <= this.#budgetBytes) return;
      if (file.isRecentlyUsed) {
        file.isRecentlyUsed = false;
        this.#files.delete(file);
        this.#files.add(file);
      } else {
        this.drop(file);
      }
    }
  }
}

import type { FileHandle } from "node:fs/promises";

import { RuntimeError } from "../lib/errors.ts";
import { digestPieces, openSource, readWhole, toHandleBody, type FileBody } from "./file-body.ts";
import type { StaticFile } from "./static-file.ts";

/** Bounds the open files of several indexes together. */
export class OpenFileBudget {
  readonly most: number;
  /** Number of descriptors, including descriptors that are being opened or closed. */
  count = 0;

  constructor(most = 512) {
    this.most = most;
  }
}

/** Holds the files that are being read. All readers of one version of a file share one descriptor. */
export class OpenFiles {
  readonly #budget: OpenFileBudget;
  readonly #shared = new Map<StaticFile, Shared>();
  readonly #loading = new Map<StaticFile, Promise<Buffer | null>>();
  /** Number of descriptors, including descriptors that are being opened or closed. */
  #count = 0;
  #isClosed = false;
  #onIdle: (() => void) | null = null;

  constructor(budget: OpenFileBudget) {
    this.#budget = budget;
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Opens a part of a file.
   *
   * @returns `null` if the file has another version now, or cannot be read.
   * @throws {RuntimeError} `ERR_OVERLOADED` when too many files are open.
   */
  async openBody(file: StaticFile, start: number, lengthBytes: number): Promise<FileBody | null> {
    const handle = await this.#acquire(file);
    if (handle === null) return null;
    const part = { start, lengthBytes };
    return toHandleBody({ handle, source: file.source }, part, () => this.#release(file));
  }

  /** Returns the whole content. Concurrent callers share one read. Returns `null` and throws as {@link openBody}. */
  load(file: StaticFile): Promise<Buffer | null> {
    const underWay = this.#loading.get(file);
    if (underWay !== undefined) return underWay;
    const loading = this.#load(file).finally(() => this.#loading.delete(file));
    this.#loading.set(file, loading);
    return loading;
  }

  /**
   * Reads pieces of a file one after the other, and returns the digest of each. Returns `null` and throws as
   * {@link openBody}.
   */
  async digestPieces(
    file: StaticFile,
    pieces: readonly { start: number; lengthBytes: number }[],
    digest: (piece: Uint8Array) => Promise<Uint8Array>,
  ): Promise<Uint8Array[] | null> {
    const handle = await this.#acquire(file);
    if (handle === null) return null;
    try {
      return await digestPieces(handle, file.source, { pieces, digest });
    } catch {
      return null; // As for `load`.
    } finally {
      this.#release(file);
    }
  }

  /** Refuses to open more files. Resolves when all open files are closed. */
  async close(): Promise<void> {
    this.#isClosed = true;
    if (this.#count === 0) return;
    await new Promise<void>((resolve) => {
      this.#onIdle = resolve;
    });
  }

  /** Closes all open files. Running reads finish, later ones fail. */
  destroy(): void {
    this.#isClosed = true;
    for (const [file, shared] of this.#shared) this.#end(file, shared);
  }

  async #load(file: StaticFile): Promise<Buffer | null> {
    const handle = await this.#acquire(file);
    if (handle === null) return null;
    try {
      return await readWhole(handle, file.source);
    } catch {
      return null; // An error of the disk, or closed meanwhile: unreadable either way.
    } finally {
      this.#release(file);
    }
  }

  async #acquire(file: StaticFile): Promise<FileHandle | null> {
    if (this.#isClosed) return null;
    let shared = this.#shared.get(file);
    if (shared === undefined) {
      const { count, most } = this.#budget;
      if (count >= most) {
        throw new RuntimeError(
          "ERR_OVERLOADED",
          `Cannot open "${file.source.realPath}": found ${most} files open, expected fewer`,
        );
      }
      this.#count++;
      this.#budget.count++;
      shared = { opening: openSource(file.source), users: 0 };
      this.#shared.set(file, shared);
    }
    shared.users++;
    try {
      const handle = await shared.opening;
      if (handle === null) this.#release(file);
      return handle;
    } catch (error) {
      this.#release(file);
      throw error;
    }
  }

  #release(file: StaticFile): void {
    const shared = this.#shared.get(file);
    if (shared === undefined) return; // Destroyed.
    shared.users--;
    if (shared.users === 0) this.#end(file, shared);
  }

  #end(file: StaticFile, shared: Shared): void {
    this.#shared.delete(file);
    void this.#closeHandle(shared);
  }

  async #closeHandle({ opening }: Shared): Promise<void> {
    try {
      const handle = await opening;
      await handle?.close();
    } catch {
      // Each waiter for the opening gets its error. An error while closing a file that was only read does not matter.
    }
    this.#count--;
    this.#budget.count--;
    if (this.#count === 0) this.#onIdle?.();
  }
}

interface Shared {
  readonly opening: Promise<FileHandle | null>;
  users: number;
}

import type { FileHandle } from "node:fs/promises";
import { inDiskTime } from "./disk-time.ts";
import { createNameless } from "./nameless-file.ts";

export interface SpoolFileOptions {
  /** Folder for the file. Created with mode 0700 if it is missing. */
  dir: string;
  /** Asks for more room on the disk; false: there is none. */
  reserve: (bytes: number) => boolean;
  /** Called with the number of bytes that are newly on the disk. */
  onWritten: (bytes: number) => void;
  /** Called once when the disk fails: it is full, read-only or gone. Written bytes can still be read. */
  onFailed: (error: unknown) => void;
  /** Called once when the file is closed and its disk space is free again. */
  onReleased: (reservedBytes: number) => void;
}

/** Below the limit of one system call, 1024 pieces (`IOV_MAX`). */
const PIECES_PER_WRITE = 256;

/**
 * A body, or a part of one, on disk.
 *
 *     open ──seal──▶ sealed
 *       └──disk refuses──▶ failed ──takeBack──▶ sealed
 *     any ──close──▶ closed ──last operation ended──▶ released
 *
 * The file loses its name right after it is created: it is gone with its last descriptor, however the process ends.
 * It is created when the first bytes arrive. Pieces are written one after another, and can be read as soon as they are
 * written.
 *
 * Invariant: appended bytes are on the disk (`writtenBytes`) or wait in memory (`waitingBytes`), in this order.
 */
export class SpoolFile {
  readonly #options: SpoolFileOptions;
  #state: "open" | "sealed" | "failed" | "closed" = "open";
  #handle: FileHandle | null = null;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writtenBytes = 0;
  #reservedBytes = 0;
  /** A write is running. */
  #writing = false;
  readonly #watchers = new Set<() => void>();

  constructor(options: SpoolFileOptions) {
    this.#options = options;
  }

  /** Bytes that can be read. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** Bytes that are still in memory. */
  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  /** No more bytes can be appended. */
  get sealed(): boolean {
    return this.#state === "sealed";
  }

  /** Appends bytes, which must not change any more. Returns false, and appends nothing, when there is no room. */
  append(bytes: Uint8Array): boolean {
    if (this.#state !== "open" || !this.#options.reserve(bytes.length)) return false;
    if (bytes.length === 0) return true;
    this.#reservedBytes += bytes.length;
    this.#waiting.push(bytes);
    this.#waitingBytes += bytes.length;
    if (!this.#writing) void this.#write();
    return true;
  }

  seal(): void {
    if (this.#state !== "open") return;
    this.#state = "sealed";
    this.#notify();
  }

  /**
   * Returns the bytes that were not written, and seals the file. For callers that can keep the bytes elsewhere when the
   * disk fails. Calls no watchers: the caller must store the bytes first.
   */
  takeBack(): Uint8Array[] {
    if (this.#state === "closed") return [];
    const pieces = this.#waiting;
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#state = "sealed";
    return pieces;
  }

  /**
   * Fills `into` with written bytes from `offset` on.
   *
   * @throws Error of the file system.
   */
  async read(into: Uint8Array, offset: number): Promise<void> {
    if (this.#handle === null) throw new TypeError("read beyond the end");
    for (let done = 0; done < into.length;) {
      const reading = this.#handle.read(into, done, into.length - done, offset + done);
      const { bytesRead } = await inDiskTime(reading);
      if (bytesRead === 0) throw new Error("Cannot read a spooled body: its file is too short");
      done += bytesRead;
    }
  }

  /** Calls back when there is more to read, and when no more will come. Returns a function that stops the calls. */
  watch(callback: () => void): () => void {
    this.#watchers.add(callback);
    return () => this.#watchers.delete(callback);
  }

  /** Closes the file after the running disk operation. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#waiting = [];
    this.#waitingBytes = 0;
    this.#watchers.clear();
    if (!this.#writing) void this.#release();
  }

  async #write(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const bytes = await this.#writeSome();
      // The file was closed, or all bytes were taken back, meanwhile.
      if (bytes === null || this.#waiting.length === 0) break;
      this.#written(bytes);
    }
    this.#writing = false;
    if (this.#state === "closed") void this.#release();
  }

  /** Writes some pieces. Returns how many bytes the disk took; `null`: it failed. */
  async #writeSome(): Promise<number | null> {
    try {
      this.#handle ??= await inDiskTime(createNameless(this.#options.dir), discard);
      const pieces = this.#waiting.slice(0, PIECES_PER_WRITE);
      const { bytesWritten } = await inDiskTime(this.#handle.writev(pieces, this.#writtenBytes));
      if (bytesWritten > 0 || pieces.length === 0) return bytesWritten;
      this.#fail(new Error("the disk wrote no bytes"));
    } catch (error) {
      this.#fail(error);
    }
    return null;
  }

  #written(bytes: number): void {
    this.#writtenBytes += bytes;
    this.#waitingBytes -= bytes;
    let left = bytes;
    for (let first = this.#waiting[0]; first !== undefined && left > 0; first = this.#waiting[0]) {
      if (first.length > left) {
        this.#waiting[0] = first.subarray(left);
        break;
      }
      left -= first.length;
      this.#waiting.shift();
    }
    this.#options.onWritten(bytes);
    this.#notify();
  }

  #fail(error: unknown): void {
    if (this.#state !== "open" && this.#state !== "sealed") return;
    this.#state = "failed";
    this.#options.onFailed(error);
  }

  #notify(): void {
    for (const callback of this.#watchers) callback();
  }

  async #release(): Promise<void> {
    // `close` waits for running reads. If it fails, the system closes the file when the process ends.
    await this.#handle?.close().catch(() => {});
    this.#options.onReleased(this.#reservedBytes);
  }
}

function discard(handle: FileHandle): void {
  // The operation has timed out: there is no caller left for its error.
  handle.close().catch(() => {});
}

import type { FileHandle } from "node:fs/promises";
import { inDiskTime } from "./disk-time.ts";
import { createNameless } from "./nameless-file.ts";

export interface SpoolFileOptions {
  /** Where to create it; made, with mode 0700, if it is not there. */
  dir: string;
  /** Asks for so many bytes more on the disk; false: there are none left. */
  reserve: (bytes: number) => boolean;
  /** So many more bytes are on the disk. */
  onWritten: (bytes: number) => void;
  /** The disk takes no more: it is full, read-only or gone. Called once; what was written can be read still. */
  onFailed: (error: unknown) => void;
  /** It is closed, and the disk space is free again. Called once. */
  onReleased: (reservedBytes: number) => void;
}

/** A system call takes at most 1024 pieces (`IOV_MAX`). */
const PIECES_PER_WRITE = 256;

/**
 * A body, or a part of one, on disk.
 *
 *     open ──seal──▶ sealed
 *       └──disk refuses──▶ failed ──takeBack──▶ sealed
 *     any ──close──▶ closed ──last operation ended──▶ released
 *
 * It has no name from the moment after it was created: it is gone with its last descriptor, however the process ends.
 * It is created when the first bytes come, and written one piece after another; what was written may be read meanwhile.
 *
 * Invariant: what was appended is on the disk (`writtenBytes`) or waits in memory (`waitingBytes`), in this order.
 */
export class SpoolFile {
  readonly #options: SpoolFileOptions;
  #state: "open" | "sealed" | "failed" | "closed" = "open";
  #handle: FileHandle | null = null;
  #waiting: Uint8Array[] = [];
  #waitingBytes = 0;
  #writtenBytes = 0;
  #reservedBytes = 0;
  /** The disk has work of this file. */
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

  /** Nothing more is appended. */
  get sealed(): boolean {
    return this.#state === "sealed";
  }

  /** Adds to the end; `bytes` must not change any more. False: there is no room for them, and they were not added. */
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
   * Takes back what has not been written, and seals what has: for who can keep it elsewhere when the disk refuses. Nobody
   * is called back: first the caller has to put it there.
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
   * Fills `into` with what was written from `offset` on.
   *
   * @throws What the disk says.
   */
  async read(into: Uint8Array, offset: number): Promise<void> {
    if (this.#handle === null) throw new TypeError("read beyond what was written");
    for (let done = 0; done < into.length;) {
      const reading = this.#handle.read(into, done, into.length - done, offset + done);
      const { bytesRead } = await inDiskTime(reading);
      if (bytesRead === 0) throw new Error("Cannot read a spooled body: it lost its end");
      done += bytesRead;
    }
  }

  /** Calls back whenever there is more to read, or there will be no more. Returns what ends that. */
  watch(callback: () => void): () => void {
    this.#watchers.add(callback);
    return () => this.#watchers.delete(callback);
  }

  /** Nobody wants it any more. What is under way on the disk ends first. */
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
      // Closed meanwhile, or all was taken back.
      if (bytes === null || this.#waiting.length === 0) break;
      this.#written(bytes);
    }
    this.#writing = false;
    if (this.#state === "closed") void this.#release();
  }

  /** Returns how many bytes the disk took; `null`: it refused. */
  async #writeSome(): Promise<number | null> {
    try {
      this.#handle ??= await inDiskTime(createNameless(this.#options.dir), discard);
      const pieces = this.#waiting.slice(0, PIECES_PER_WRITE);
      const { bytesWritten } = await inDiskTime(this.#handle.writev(pieces, this.#writtenBytes));
      if (bytesWritten > 0 || pieces.length === 0) return bytesWritten;
      this.#fail(new Error("the disk took nothing"));
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
    // Waits for reads that are under way. What cannot be closed is closed by the system at the end.
    await this.#handle?.close().catch(() => {});
    this.#options.onReleased(this.#reservedBytes);
  }
}

function discard(handle: FileHandle): void {
  // Nobody waits for it.
  handle.close().catch(() => {});
}

import { closeSync, readSync, writevSync } from "node:fs";
import type { FileHandle } from "node:fs/promises";
import { inDiskTime } from "./disk-time.ts";
import { createNameless, createNamelessSync } from "./nameless-file.ts";

export interface SpoolFileOptions {
  /** Folder for the file. Created with mode 0700 if it is missing. */
  dir: string;
  /** Asks for more room on the disk; false: there is none. */
  reserve: (bytes: number) => boolean;
  /** Called once when the file is closed and its disk space is free again. */
  onReleased: (reservedBytes: number) => void;
}

/**
 * A file for the bytes of one body, and the room on the disk that is reserved for it.
 *
 * The first write creates the file. It loses its name right after that: it is gone with its last descriptor, however
 * the process ends. A file is used either with `write` and `read`, which wait for the disk at most 30 s, or with
 * `writeNow` and `readNow`, which block the event loop.
 */
export class SpoolFile {
  readonly #options: SpoolFileOptions;
  #handle: FileHandle | null = null;
  /** The descriptor for `writeNow` and `readNow`. */
  #descriptor: number | null = null;
  #reservedBytes = 0;
  #isWriting = false;
  #isClosed = false;

  constructor(options: SpoolFileOptions) {
    this.#options = options;
  }

  /** Bytes that the file may have. */
  get reservedBytes(): number {
    return this.#reservedBytes;
  }

  /** Reserves room, so that the file may have `bytes`. Returns false, and reserves nothing, when there is none. */
  reserve(bytes: number): boolean {
    const more = bytes - this.#reservedBytes;
    if (more > 0 && !this.#options.reserve(more)) return false;
    this.#reservedBytes += Math.max(0, more);
    return true;
  }

  /**
   * Writes some of the bytes. One write at a time. Returns how many bytes the disk took, at least 1. The pieces must
   * not change meanwhile.
   *
   * @throws Error of the file system; the file may have some of the bytes then.
   */
  async write(pieces: readonly Uint8Array[], offset: number): Promise<number> {
    this.#isWriting = true;
    try {
      this.#handle ??= await inDiskTime(createNameless(this.#options.dir), discard);
      const { bytesWritten } = await inDiskTime(this.#handle.writev(pieces, offset));
      return assertSome(bytesWritten);
    } finally {
      this.#isWriting = false;
      if (this.#isClosed) void this.#release();
    }
  }

  /** Does the same as `write`, at once. */
  writeNow(pieces: readonly Uint8Array[], offset: number): number {
    this.#descriptor ??= createNamelessSync(this.#options.dir);
    return assertSome(writevSync(this.#descriptor, pieces, offset));
  }

  /**
   * Fills `into` with written bytes from `offset` on.
   *
   * @throws Error of the file system.
   */
  async read(into: Uint8Array, offset: number): Promise<void> {
    if (this.#handle === null) throw new TypeError("read before the first write");
    for (let done = 0; done < into.length;) {
      const reading = this.#handle.read(into, done, into.length - done, offset + done);
      done += assertMore((await inDiskTime(reading)).bytesRead);
    }
  }

  /** Does the same as `read`, at once. */
  readNow(into: Uint8Array, offset: number): void {
    if (this.#descriptor === null) throw new TypeError("read before the first write");
    for (let done = 0; done < into.length;) {
      const length = into.length - done;
      done += assertMore(readSync(this.#descriptor, into, done, length, offset + done));
    }
  }

  /** Closes the file after the running disk operation. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (!this.#isWriting) void this.#release();
  }

  async #release(): Promise<void> {
    if (this.#descriptor !== null) closeSync(this.#descriptor);
    // `close` waits for running reads. If it fails, the system closes the file when the process ends.
    if (this.#handle !== null) await this.#handle.close().catch(() => {});
    this.#options.onReleased(this.#reservedBytes);
  }
}

function assertSome(bytes: number): number {
  if (bytes === 0) throw new Error("Cannot write to a spool file: the disk took no bytes");
  return bytes;
}

function assertMore(bytes: number): number {
  if (bytes === 0) throw new Error("Cannot read a spooled body: its file is too short");
  return bytes;
}

function discard(handle: FileHandle): void {
  // The operation has timed out: there is no caller left for its error.
  handle.close().catch(() => {});
}

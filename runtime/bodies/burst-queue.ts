import { closeSync, readSync, writeSync } from "node:fs";
import { CHUNK_BYTES } from "../channel/messages.ts";
import type { BlockPool } from "./block-pool.ts";
import { BlockQueue } from "./block-queue.ts";
import { createNamelessSync } from "./nameless-file.ts";

export interface BurstQueueOptions {
  /** Folder for the file. Created with mode 0700 if it is missing. */
  dir: string;
  /** Bytes that may wait in memory. The rest goes to disk. */
  memoryBytes: number;
  blocks: BlockPool;
  /** Asks for a file; false: the limit of files is reached. */
  open: () => boolean;
  /** Asks for more room on the disk; false: there is none. */
  reserve: (bytes: number) => boolean;
  /** Gives back the file and the room that was reserved for it. */
  release: (bytes: number) => void;
}

/**
 * A byte queue with bounded memory, for bursts.
 *
 * A paused client still delivers the bytes in the buffers of both kernels, and all that it sends while those are read:
 * pausing a socket does not end the loop that reads it (docs/uwebsockets.md section 3; 80 MB within one turn were seen
 * over the loopback). There is no later moment to write the bytes to disk, so they are written synchronously. This
 * takes longer than a copy, and far less time than swapping. When the disk refuses, or has no room for bodies, the
 * bytes stay in memory after all.
 *
 * The file loses its name right after it is created.
 */
export class BurstQueue {
  readonly #options: BurstQueueOptions;
  /** Bytes older than those in the file. */
  readonly #memory: BlockQueue;
  #file: number | null = null;
  #writtenBytes = 0;
  #readBytes = 0;
  #reservedBytes = 0;
  /** Bytes newer than those in the file, which the disk refused. */
  #refused: BlockQueue | null = null;
  /** Buffer for reading the file. */
  #readBuffer: Uint8Array | null = null;

  constructor(options: BurstQueueOptions) {
    this.#options = options;
    this.#memory = new BlockQueue(options.blocks);
  }

  /** Number of bytes in the queue. */
  get bytes(): number {
    return this.#memory.bytes + this.#fileBytes + (this.#refused?.bytes ?? 0);
  }

  /** Adds a copy of the bytes: the caller may change them afterwards. */
  push(bytes: Uint8Array): void {
    const only = this.bytes === this.#memory.bytes;
    if (only && this.#memory.bytes < this.#options.memoryBytes) {
      this.#memory.push(bytes);
      return;
    }
    if (this.#refused === null && this.#store(bytes)) return;
    this.#refused ??= new BlockQueue(this.#options.blocks);
    this.#refused.push(bytes);
  }

  /**
   * Returns the next bytes, 1 to `maxBytes`, as far as they are contiguous; `null` when the queue is empty. They are
   * valid until the next call.
   *
   * @throws Error of the file system.
   */
  take(maxBytes: number): Uint8Array | null {
    if (this.#memory.bytes === 0 && this.#fileBytes > 0) this.#memory.push(this.#load());
    return this.#memory.take(maxBytes) ?? this.#takeRefused(maxBytes);
  }

  /** Returns all bytes in one piece, which belongs to the caller. */
  takeAll(): Uint8Array {
    if (this.bytes === this.#memory.bytes) return this.#memory.takeAll();
    const pieces: Uint8Array[] = [];
    for (let piece = this.take(Infinity); piece !== null; piece = this.take(Infinity)) {
      pieces.push(new Uint8Array(piece));
    }
    return Buffer.concat(pieces);
  }

  /** Drops all bytes, and closes the file. */
  clear(): void {
    this.#memory.clear();
    this.#refused?.clear();
    this.#refused = null;
    this.#readBuffer = null;
    this.#readBytes = 0;
    this.#writtenBytes = 0;
    if (this.#file === null) return;
    closeSync(this.#file);
    this.#file = null;
    this.#options.release(this.#reservedBytes);
    this.#reservedBytes = 0;
  }

  #takeRefused(maxBytes: number): Uint8Array | null {
    const refused = this.#refused;
    const piece = refused?.take(maxBytes) ?? null;
    if (refused !== null && piece === null) this.#refused = null;
    return piece;
  }

  get #fileBytes(): number {
    return this.#writtenBytes - this.#readBytes;
  }

  /** Writes bytes to the file. Returns false when the disk does not take them. */
  #store(bytes: Uint8Array): boolean {
    const file = this.#file ?? this.#open();
    if (file === null) return false;
    const more = this.#writtenBytes + bytes.length - this.#reservedBytes;
    if (more > 0) {
      if (!this.#options.reserve(more)) return false;
      this.#reservedBytes += more;
    }
    try {
      for (let done = 0; done < bytes.length;) {
        done += writeSync(file, bytes, done, bytes.length - done, this.#writtenBytes + done);
      }
    } catch {
      // The bytes go to memory, where they would be without a disk.
      return false;
    }
    this.#writtenBytes += bytes.length;
    return true;
  }

  #open(): number | null {
    if (!this.#options.open()) return null;
    try {
      this.#file = createNamelessSync(this.#options.dir);
    } catch {
      this.#options.release(0);
    }
    return this.#file;
  }

  /** Reads recently written bytes. They are in the page cache, so this does not wait for the disk. */
  #load(): Uint8Array {
    if (this.#file === null) throw new TypeError("read from a file that is not open");
    const bytes = (this.#readBuffer ??= Buffer.allocUnsafeSlow(CHUNK_BYTES));
    const most = Math.min(bytes.length, this.#fileBytes);
    const length = readSync(this.#file, bytes, 0, most, this.#readBytes);
    if (length === 0) throw new Error("Cannot read a body back: its file is too short");
    this.#readBytes += length;
    // Reuse the file's pages for the next burst.
    if (this.#readBytes === this.#writtenBytes) this.#readBytes = this.#writtenBytes = 0;
    return bytes.subarray(0, length);
  }
}

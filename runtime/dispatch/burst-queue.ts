import { closeSync, readSync, writeSync } from "node:fs";
import { CHUNK_BYTES } from "../channel/messages.ts";
import type { BlockPool } from "./block-pool.ts";
import { BlockQueue } from "./block-queue.ts";
import { createNamelessSync } from "./nameless-file.ts";

export interface BurstQueueOptions {
  /** Where to create the file; made, with mode 0700, if it is not there. */
  dir: string;
  /** What may wait in memory; what comes on top goes to disk. */
  memoryBytes: number;
  blocks: BlockPool;
  /** Asks for a file; false: there are as many as may be. */
  open: () => boolean;
  /** Asks for so many bytes more on the disk; false: there are none left. */
  reserve: (bytes: number) => boolean;
  /** The file is closed: gives it back, and what was reserved. */
  release: (bytes: number) => void;
}

/**
 * Bytes in the order in which they came, of which memory holds only so many.
 *
 * A client that is held back still delivers what lies in the buffers of both kernels, and all that it sends while that is
 * read: to pause a socket does not end the loop that reads it (docs/uwebsockets.md section 3; 80 MB within one turn were seen over
 * the loopback). There is no later moment to write it to disk: it is done at once, which takes longer than to copy it
 * and far less than to swap. When the disk refuses, or has no more room for bodies, memory takes it after all.
 *
 * The file has no name from the moment after it was created.
 */
export class BurstQueue {
  readonly #options: BurstQueueOptions;
  /** Older than what the file holds. */
  readonly #memory: BlockQueue;
  #file: number | null = null;
  #writtenBytes = 0;
  #readBytes = 0;
  #reservedBytes = 0;
  /** Newer than what the file holds: the disk refused it. */
  #refused: BlockQueue | null = null;
  /** Where pieces of the file are read. */
  #readBuffer: Uint8Array | null = null;

  constructor(options: BurstQueueOptions) {
    this.#options = options;
    this.#memory = new BlockQueue(options.blocks);
  }

  /** How many bytes wait. */
  get bytes(): number {
    return this.#memory.bytes + this.#fileBytes + (this.#refused?.bytes ?? 0);
  }

  /** Adds a copy: the bytes may change afterwards. */
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
   * The next bytes, at least one and at most so many, as far as they lie in one piece; `null` when none wait. They are valid
   * until the next call.
   *
   * @throws What the disk says.
   */
  take(maxBytes: number): Uint8Array | null {
    if (this.#memory.bytes === 0 && this.#fileBytes > 0) this.#memory.push(this.#load());
    return this.#memory.take(maxBytes) ?? this.#takeRefused(maxBytes);
  }

  /** All that waits, in one piece, which is the caller's. */
  takeAll(): Uint8Array {
    if (this.bytes === this.#memory.bytes) return this.#memory.takeAll();
    const pieces: Uint8Array[] = [];
    for (let piece = this.take(Infinity); piece !== null; piece = this.take(Infinity)) {
      pieces.push(new Uint8Array(piece));
    }
    return Buffer.concat(pieces);
  }

  /** Drops all. */
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

  /** False: the disk does not take them. */
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
      // Memory takes it: that is what the burst would have cost without a disk.
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

  /** What was written a moment ago is in the page cache: to read it waits for no disk. */
  #load(): Uint8Array {
    if (this.#file === null) throw new TypeError("read from a file that is not open");
    const bytes = (this.#readBuffer ??= Buffer.allocUnsafeSlow(CHUNK_BYTES));
    const most = Math.min(bytes.length, this.#fileBytes);
    const length = readSync(this.#file, bytes, 0, most, this.#readBytes);
    if (length === 0) throw new Error("Cannot read a body back: its file lost its end");
    this.#readBytes += length;
    // Its pages are there already for the next burst.
    if (this.#readBytes === this.#writtenBytes) this.#readBytes = this.#writtenBytes = 0;
    return bytes.subarray(0, length);
  }
}

import { ByteQueue } from "./byte-queue.ts";
import type { SpoolFile } from "./spool-file.ts";
import { SpoolReader } from "./spool-reader.ts";
import type { Spool } from "./spool.ts";

export interface ResponseSpillOptions {
  spool: Spool;
  /** Bytes that may wait in memory. The rest goes to disk. */
  memoryBytes: number;
  /** Called with the number of bytes that left memory. */
  onFreed: (bytes: number) => void;
  /** Called when `take` may succeed again. */
  onReadable: () => void;
  /**
   * Called when the disk fails. With `isLost`, bytes on it cannot be read. Otherwise all further bytes stay in memory.
   */
  onDiskError: (error: unknown, isLost: boolean) => void;
}

/**
 * A byte queue that keeps a few bytes in memory and the rest on disk.
 *
 *     in:   head ─────────────────────────▶ out          few bytes wait: all are in memory
 *     in:   file ──▶ head ────────────────▶ out          more wait: new bytes go to disk
 *     in:   tail ──▶ file (sealed) ──▶ head ──▶ out      the disk has no room: new bytes stay in memory
 *
 * When the file has been read to its end, it is closed, its room is given back, and the tail becomes the head. The
 * caller bounds how much it pushes at a time: it asks for more when `onFreed` reports room in memory.
 */
export class ResponseSpill {
  readonly #options: ResponseSpillOptions;
  #head = new ByteQueue();
  #file: SpoolFile | null = null;
  #reader: SpoolReader | null = null;
  #tail = new ByteQueue();
  #bytes = 0;
  /** The disk has failed once: it is not tried again for this body. */
  #diskFailed = false;

  constructor(options: ResponseSpillOptions) {
    this.#options = options;
  }

  /** Number of bytes in memory and on disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a copy of the bytes: the caller may change them afterwards. */
  push(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    this.#place(new Uint8Array(bytes));
  }

  /** Returns the next bytes, at most `maxBytes`; `null` when none are available now. */
  take(maxBytes: number): Uint8Array | null {
    const piece = this.#head.take(maxBytes);
    if (piece !== null) {
      this.#bytes -= piece.length;
      this.#options.onFreed(piece.length);
      return piece;
    }
    const spooled = this.#reader?.read(maxBytes) ?? null;
    if (spooled === null) return null;
    this.#bytes -= spooled.length;
    this.#closeReadFile();
    return spooled;
  }

  /**
   * Call after the reader took as much as it could. Moves all waiting bytes to disk if memory has more than
   * `memoryBytes`.
   */
  spill(): void {
    if (this.#file !== null || this.#diskFailed) return;
    if (this.#head.bytes <= this.#options.memoryBytes) return;
    if (!this.#openFile()) return;
    const pieces = this.#head;
    this.#head = new ByteQueue();
    for (let piece = pieces.take(Infinity); piece !== null; piece = pieces.take(Infinity)) {
      this.#place(piece);
    }
    // The file had room for none of it.
    this.#closeReadFile();
  }

  clear(): void {
    this.#head.clear();
    this.#tail.clear();
    this.#bytes = 0;
    this.#closeFile();
  }

  #openFile(): boolean {
    const file = this.#options.spool.open("response", {
      onWritten: (bytes) => this.#options.onFreed(bytes),
      onFailed: (error) => this.#onWriteFailed(file, error),
    });
    if (file === null) return false;
    const reader = new SpoolReader(file);
    reader.onChange = () => {
      if (reader.state === "failed") this.#options.onDiskError(reader.error, true);
      else this.#options.onReadable();
    };
    this.#file = file;
    this.#reader = reader;
    return true;
  }

  #place(bytes: Uint8Array): void {
    const file = this.#file;
    if (file === null) {
      this.#head.push(bytes);
    } else if (this.#tail.bytes > 0 || !file.append(bytes)) {
      this.#tail.push(bytes);
      file.seal();
    }
  }

  /** Puts the bytes that the disk refused before those that came later. */
  #onWriteFailed(file: SpoolFile | null, error: unknown): void {
    if (file === null || file !== this.#file) return;
    this.#diskFailed = true;
    const later = this.#tail;
    this.#tail = new ByteQueue();
    for (const piece of file.takeBack()) this.#tail.push(piece);
    for (let piece = later.take(Infinity); piece !== null; piece = later.take(Infinity)) {
      this.#tail.push(piece);
    }
    this.#options.onDiskError(error, false);
    this.#closeReadFile();
    this.#options.onReadable();
  }

  #closeReadFile(): void {
    if (this.#reader?.caughtUp !== true || this.#file?.waitingBytes !== 0) return;
    this.#closeFile();
    this.#head = this.#tail;
    this.#tail = new ByteQueue();
  }

  #closeFile(): void {
    this.#reader?.cancel();
    this.#reader = null;
    this.#file?.close();
    this.#file = null;
  }
}

import { ByteQueue } from "./byte-queue.ts";
import type { SpoolFile } from "./spool-file.ts";
import { SpoolReader } from "./spool-reader.ts";
import type { Spool } from "./spool.ts";

export interface ResponseSpillOptions {
  spool: Spool;
  /** What may wait in memory; what comes on top of it goes to disk. */
  memoryBytes: number;
  /** So many bytes are no longer in memory. */
  onFreed: (bytes: number) => void;
  /** It may be worth to take again. */
  onReadable: () => void;
  /** The disk refuses. With `isLost`, bytes that are on it cannot be read; otherwise memory has to do from now on. */
  onDiskError: (error: unknown, isLost: boolean) => void;
}

/**
 * Bytes in the order in which they came, of which memory holds few and the disk the rest.
 *
 *     in:   head ─────────────────────────▶ out          little waits: all is in memory
 *     in:   file ──▶ head ────────────────▶ out          more waits: what follows goes to disk
 *     in:   tail ──▶ file (sealed) ──▶ head ──▶ out      no room on the disk: what follows stays in memory
 *
 * Once the file was read to its end it is closed, its room is given back, and the tail becomes the head. How much comes
 * at a time the caller bounds: it asks for more as `onFreed` tells that memory has room.
 */
export class ResponseSpill {
  readonly #options: ResponseSpillOptions;
  #head = new ByteQueue();
  #file: SpoolFile | null = null;
  #reader: SpoolReader | null = null;
  #tail = new ByteQueue();
  #bytes = 0;
  /** The disk has refused once: for this body it is not tried again. */
  #diskFailed = false;

  constructor(options: ResponseSpillOptions) {
    this.#options = options;
  }

  /** How many bytes wait, wherever. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds a copy: the bytes may change afterwards. */
  push(bytes: Uint8Array): void {
    this.#bytes += bytes.length;
    this.#place(new Uint8Array(bytes));
  }

  /** The next bytes, at most so many; `null` when none are there now. */
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

  /** Whoever takes has taken what they can: what is too much for memory goes to disk. */
  spill(): void {
    if (this.#file !== null || this.#diskFailed) return;
    if (this.#head.bytes <= this.#options.memoryBytes) return;
    if (!this.#openFile()) return;
    const pieces = this.#head;
    this.#head = new ByteQueue();
    for (let piece = pieces.take(Infinity); piece !== null; piece = pieces.take(Infinity)) {
      this.#place(piece);
    }
    // Nothing of it had room.
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

  /** What it did not take is still here, before what came later. */
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

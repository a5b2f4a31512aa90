import { CHUNK_BYTES } from "../channel/messages.ts";
import type { BlockPool } from "./block-pool.ts";
import { BlockQueue } from "./block-queue.ts";
import type { SpoolFile } from "./spool-file.ts";
import type { Spool, SpoolKind } from "./spool.ts";

export interface SpillQueueOptions {
  /** Holds the file; `null`: all bytes stay in memory. */
  spool: Spool | null;
  /** With `burst`, disk operations block the event loop. With `request`, writes do so while too much waits for the disk. */
  kind: SpoolKind;
  /** Bytes that may wait in memory. `spill` moves more to disk. */
  memoryBytes: number;
  blocks: BlockPool;
  /** Called when `take` may succeed after it returned `null`, and when bytes have moved from memory to disk. */
  onChange: () => void;
  /** Called at most once: the disk failed. The bytes that it did not take stay in memory. `take` may succeed now. */
  onWriteFailed: (error: unknown) => void;
  /** Called when bytes on disk cannot be read. The caller must `clear` the queue. */
  onLost: (error: unknown) => void;
}

/**
 * A byte queue in three parts: the oldest bytes in memory, the next ones on disk, the newest in memory.
 *
 *     in:   memory ──────────────────────▶ out       few bytes wait
 *     in:   memory ──▶ file ──▶ loaded ──▶ out       more wait: `spill` has moved bytes to a file
 *
 * Once the reader has taken all bytes of the file, the bytes in memory are next. The queue closes the file then, and
 * gives its room back. Only a file of bursts stays open: writing to the same pages again takes 40 % less time. While
 * the disk has no room, new bytes stay in memory. After the disk failed, they always do.
 *
 * Invariants:
 *
 * - The bytes leave in the order in which they came: `loaded`, the rest of the file, `memory`.
 * - Only `spill` moves bytes to disk. The queue never drops bytes by itself.
 * - A byte leaves memory when it was written, not before. A failed write loses none.
 * - A piece that was taken stays valid until the next call of `take` or `clear`, whatever moves to disk meanwhile.
 * - The queue waits for one write and for one read at a time. No callback comes after `clear`.
 */
export class SpillQueue {
  readonly #options: SpillQueueOptions;
  readonly #memory: BlockQueue;
  #memoryBytes: number;
  #file: SpoolFile | null = null;
  /** Number of bytes that the file has, and the number of loaded bytes among them. */
  #writtenBytes = 0;
  #loadedBytes = 0;
  /** Bytes that were read from the file and not taken. */
  #loaded: Uint8Array | null = null;
  /** Buffer for reading the file. */
  #buffer: Uint8Array | null = null;
  #isWriting = false;
  /** Blocks that the running write still reads, although `#overtake` has written them; `null`: it was not overtaken. */
  #overtaken: Uint8Array[] | null = null;
  /** Identifies the running read; `null`: none is running. */
  #loading: object | null = null;
  #hasFailed = false;
  /** The file stays open, with the bytes that were taken. */
  #keeps = false;

  constructor(options: SpillQueueOptions) {
    this.#options = options;
    this.#memoryBytes = options.memoryBytes;
    this.#memory = new BlockQueue(options.blocks);
  }

  /** Number of bytes in the queue. */
  get bytes(): number {
    const onDisk = this.#writtenBytes - this.#loadedBytes;
    return this.#memory.bytes + onDisk + (this.#loaded?.length ?? 0);
  }

  /** Number of bytes that wait in memory, for the reader or for the disk. */
  get bytesInMemory(): number {
    return this.#memory.bytes;
  }

  /** Adds a copy of the bytes: the caller may change them afterwards. */
  push(bytes: Uint8Array): void {
    this.#memory.push(bytes);
  }

  /**
   * Returns the next bytes, 1 to `maxBytes`, as far as they are contiguous; `null` when none are available now. They
   * are valid until the next call of `take` or `clear`.
   */
  take(maxBytes: number): Uint8Array | null {
    if (this.#file === null || !this.#hasSpilled) return this.#memory.take(maxBytes);
    this.#memory.release();
    if (this.#loaded === null) this.#load(this.#file);
    const loaded = this.#loaded;
    if (loaded === null) return null;
    this.#loaded = maxBytes < loaded.length ? loaded.subarray(maxBytes) : null;
    this.#closeReadFile();
    return loaded.subarray(0, maxBytes);
  }

  /** Returns all bytes in one piece, which belongs to the caller. None of them may be on disk. */
  takeAll(): Uint8Array {
    if (this.#hasSpilled) throw new TypeError("takeAll while bytes are on disk");
    return this.#memory.takeAll();
  }

  /**
   * Call after the reader took as much as it could. Moves all bytes to disk if more than `memoryBytes` wait in memory,
   * and new bytes as long as older ones are on disk.
   *
   * @returns False: some bytes have to stay in memory. The spool has no file or no room for them, or the disk failed.
   */
  spill(): boolean {
    if (!this.#hasSpilled && this.#memory.bytes <= this.#memoryBytes) return true;
    if (this.#hasFailed) return false;
    const { spool, kind, memoryBytes } = this.#options;
    const file = (this.#file ??= spool?.open(kind) ?? null);
    if (file === null) return false;
    const hasRoom = file.reserve(this.#writtenBytes + this.#memory.bytes);
    if (kind === "burst") this.#writeNow(file);
    else if (!this.#isWriting) void this.#write(file);
    else if (this.#overtaken !== null) this.#writeNow(file);
    else if (kind === "request" && this.#memory.bytes > memoryBytes) this.#overtake(file);
    this.#closeReadFile();
    return hasRoom;
  }

  /** Makes `spill` move every byte to disk from now on, and keeps the file until `clear`. No byte was taken yet. */
  keepOnDisk(): void {
    this.#keeps = true;
    this.#memoryBytes = 0;
  }

  /** Makes the next `take` begin with the first byte again. Requires `keepOnDisk`. */
  rewind(): void {
    this.#loading = null;
    this.#loaded = null;
    this.#loadedBytes = 0;
    // A read that is still running fills the old buffer.
    this.#buffer = null;
  }

  /** Drops all bytes, and closes the file. */
  clear(): void {
    this.#memory.clear();
    this.#giveOvertaken();
    this.#closeFile();
    this.#buffer = null;
  }

  /** Whether bytes are on disk or on their way: the bytes in memory come after them. */
  get #hasSpilled(): boolean {
    return this.#writtenBytes > 0 || this.#isWriting;
  }

  /**
   * Writes all bytes at once, also those that the running write has, and makes `spill` do so until that write ends. A
   * fast sender would fill the memory otherwise: the loop that reads its socket does not end with this turn. Both writes
   * put the same bytes at the same place of the file.
   */
  #overtake(file: SpoolFile): void {
    const overtaken: Uint8Array[] = [];
    this.#overtaken = overtaken;
    this.#writeNow(file, { give: (block) => overtaken.push(block) });
  }

  #writeNow(file: SpoolFile, blocks?: Pick<BlockPool, "give">): void {
    try {
      for (
        let pieces = this.#nextPieces(file);
        pieces.length > 0;
        pieces = this.#nextPieces(file)
      ) {
        this.#moved(file.writeNow(pieces, this.#writtenBytes), blocks);
      }
    } catch (error) {
      this.#failWriting(error);
    }
  }

  async #write(file: SpoolFile): Promise<void> {
    this.#isWriting = true;
    for (let pieces = this.#nextPieces(file); pieces.length > 0; pieces = this.#nextPieces(file)) {
      let bytes = 0;
      try {
        bytes = await file.write(pieces, this.#writtenBytes);
      } catch (error) {
        if (file === this.#file && this.#overtaken === null) {
          this.#failWriting(error);
          return;
        }
      }
      if (file !== this.#file) return;
      if (this.#overtaken === null) this.#moved(bytes);
      else this.#giveOvertaken();
      this.#options.onChange();
      if (file !== this.#file) return;
    }
    this.#isWriting = false;
  }

  /** Returns the next bytes for the disk, as many as the reserved room takes. */
  #nextPieces(file: SpoolFile): Uint8Array[] {
    return this.#memory.peek(file.reservedBytes - this.#writtenBytes);
  }

  #moved(bytes: number, blocks?: Pick<BlockPool, "give">): void {
    this.#memory.drop(bytes, blocks);
    this.#writtenBytes += bytes;
  }

  #giveOvertaken(): void {
    for (const block of this.#overtaken ?? []) this.#options.blocks.give(block);
    this.#overtaken = null;
  }

  #failWriting(error: unknown): void {
    this.#isWriting = false;
    this.#hasFailed = true;
    // If the reader has taken all bytes of the file, the bytes in memory are next.
    this.#closeReadFile();
    this.#options.onWriteFailed(error);
  }

  #load(file: SpoolFile): void {
    const bytes = Math.min(CHUNK_BYTES, this.#writtenBytes - this.#loadedBytes);
    if (this.#loading !== null || bytes === 0) return;
    this.#buffer ??= Buffer.allocUnsafeSlow(CHUNK_BYTES);
    const into = this.#buffer.subarray(0, bytes);
    if (this.#options.kind === "burst") this.#loadNow(file, into);
    else void this.#loadLater(file, into);
  }

  /** Reads recently written bytes. They are in the page cache, so this does not wait for the disk. */
  #loadNow(file: SpoolFile, into: Uint8Array): void {
    try {
      file.readNow(into, this.#loadedBytes);
    } catch (error) {
      this.#options.onLost(error);
      return;
    }
    this.#loaded = into;
    this.#loadedBytes += into.length;
  }

  async #loadLater(file: SpoolFile, into: Uint8Array): Promise<void> {
    const loading = {};
    this.#loading = loading;
    try {
      await file.read(into, this.#loadedBytes);
    } catch (error) {
      if (loading === this.#loading) this.#options.onLost(error);
      return;
    }
    if (loading !== this.#loading) return;
    this.#loading = null;
    this.#loaded = into;
    this.#loadedBytes += into.length;
    this.#options.onChange();
  }

  #closeReadFile(): void {
    const isRead = this.#loaded === null && this.#loadedBytes === this.#writtenBytes;
    if (!isRead || this.#isWriting || this.#keeps) return;
    if (this.#options.kind === "burst") this.#writtenBytes = this.#loadedBytes = 0;
    else this.#closeFile();
  }

  #closeFile(): void {
    this.#file?.close();
    this.#file = null;
    this.#writtenBytes = 0;
    this.#loadedBytes = 0;
    this.#loaded = null;
    this.#loading = null;
    this.#isWriting = false;
  }
}

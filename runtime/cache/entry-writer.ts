import type { CacheKey } from "./cache-key.ts";
import { RunningChecksums } from "./entry-file.ts";
import type { EntryFolder, TemporaryFile } from "./entry-folder.ts";
import type { EntryWriter, StoredEntry } from "./store.ts";
import type { StoredHead } from "./stored-head.ts";

/** A body that is complete: in memory, or in an unfinished file. */
export type WrittenBody =
  | { kind: "memory"; bytes: Uint8Array }
  | { kind: "file"; file: TemporaryFile; checksums: Uint32Array };

export interface WriterOptions {
  /** Announced size of the body; `null`: unknown. */
  bodyBytes: number | null;
  /** Largest body that is kept in memory. */
  memoryBodyBytes: number;
  /** Largest body of all. */
  mostBodyBytes: number;
  /** Asks for memory, or gives it back (negative). Returns `false` when there is none. */
  reserve: (bytes: number) => boolean;
  /** `null`: the body cannot go to disk. */
  folder: EntryFolder | null;
  /** The disk refused the body. */
  onDiskError: (error: unknown) => void;
  /** Adds the entry to the store. */
  onCommit: (
    head: StoredHead,
    body: WrittenBody,
    callback: (entry: StoredEntry | null) => void,
  ) => void;
  /** Called with work on files that ends by itself. */
  track: (work: Promise<void>) => void;
  /** Called once, when the writer no longer belongs to the store. */
  onEnd: (writer: BodyWriter, end: "committed" | "given-up" | "aborted") => void;
}

/** Bytes that wait for the disk. When it falls behind by more, the entry is given up. */
const MOST_BACKLOG_BYTES = 8 * 1024 * 1024;

/**
 * Collects a body in memory, and moves it to disk when it becomes too large.
 *
 *     collecting ──push──▶ spilling ──commit──▶ ended
 *         └──commit, abort, lack of room──────────▶ ended
 */
export class BodyWriter implements EntryWriter {
  readonly key: CacheKey;
  /** Tags that were purged since the writer began. */
  readonly purgedTags = new Set<string>();
  readonly #options: WriterOptions;
  #chunks: Uint8Array[] = [];
  /** Memory for a body of announced size. */
  #whole: Uint8Array | null = null;
  #sizeBytes = 0;
  #reservedBytes = 0;
  #spill: Spill | null = null;
  #isEnded = false;

  constructor(key: CacheKey, options: WriterOptions) {
    this.key = key;
    this.#options = options;
    const { bodyBytes, mostBodyBytes, memoryBodyBytes } = options;
    if (bodyBytes === null) return;
    if (bodyBytes > mostBodyBytes) this.giveUp();
    else if (bodyBytes <= memoryBodyBytes && this.#reserve(bodyBytes)) {
      this.#whole = Buffer.allocUnsafeSlow(bodyBytes);
    }
  }

  get isStoring(): boolean {
    return !this.#isEnded;
  }

  push(bytes: Uint8Array): void {
    if (this.#isEnded || bytes.length === 0) return;
    const { bodyBytes, mostBodyBytes, memoryBodyBytes } = this.#options;
    const at = this.#sizeBytes;
    this.#sizeBytes += bytes.length;
    if (this.#sizeBytes > Math.min(bodyBytes ?? Infinity, mostBodyBytes)) {
      this.giveUp();
    } else if (this.#whole !== null) {
      this.#whole.set(bytes, at);
    } else if (this.#spill === null && this.#sizeBytes <= memoryBodyBytes) {
      if (this.#reserve(bytes.length)) this.#chunks.push(Uint8Array.from(bytes));
    } else {
      this.#spillOver(bytes);
    }
  }

  commit(head: StoredHead, callback: (entry: StoredEntry | null) => void = () => {}): void {
    const { bodyBytes } = this.#options;
    // A body of another size than announced is not whole (RFC 9111 section 3.3).
    const isWhole = bodyBytes === null || bodyBytes === this.#sizeBytes;
    if (!isWhole || head.tags.some((tag) => this.purgedTags.has(tag))) this.giveUp();
    if (this.#isEnded) {
      callback(null);
      return;
    }
    const whole: StoredHead = Object.freeze({ ...head, bodyBytes: this.#sizeBytes });
    if (this.#spill !== null) {
      this.#commitFile(this.#spill, whole, callback);
      return;
    }
    const bytes = this.#whole ?? join(this.#chunks, this.#sizeBytes);
    this.#end("committed");
    this.#options.onCommit(whole, { kind: "memory", bytes }, callback);
  }

  abort(): void {
    this.#end("aborted");
  }

  /** Ends the writer for a reason of the store. */
  giveUp(): void {
    this.#end("given-up");
  }

  #commitFile(spill: Spill, head: StoredHead, callback: (entry: StoredEntry | null) => void): void {
    // The store may still give the writer up until the file is complete, e.g. because of a purge.
    spill.finish((file, checksums) => {
      if (file === null || this.#isEnded) {
        this.giveUp();
        callback(null);
        return;
      }
      this.#spill = null;
      this.#end("committed");
      const body: WrittenBody = { kind: "file", file, checksums };
      this.#options.onCommit(head, body, callback);
    });
  }

  #reserve(bytes: number): boolean {
    if (!this.#options.reserve(bytes)) {
      this.giveUp();
      return false;
    }
    this.#reservedBytes += bytes;
    return true;
  }

  #spillOver(bytes: Uint8Array): void {
    const { folder } = this.#options;
    if (folder === null) {
      this.giveUp();
      return;
    }
    if (this.#spill === null) {
      this.#spill = new Spill(this.key, folder, (error) => {
        this.giveUp();
        this.#options.onDiskError(error);
      });
      for (const chunk of this.#chunks) this.#spill.push(chunk);
      this.#chunks = [];
    }
    this.#spill.push(bytes);
    if (this.#spill.backlogBytes > MOST_BACKLOG_BYTES) this.giveUp();
  }

  #end(end: "committed" | "given-up" | "aborted"): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#chunks = [];
    this.#whole = null;
    if (this.#reservedBytes > 0) this.#options.reserve(-this.#reservedBytes);
    if (this.#spill !== null) this.#options.track(this.#spill.discard());
    this.#options.onEnd(this, end);
  }
}

function join(chunks: readonly Uint8Array[], sizeBytes: number): Uint8Array {
  const whole = Buffer.allocUnsafeSlow(sizeBytes);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** A body on its way to an unfinished file. Bytes that arrive while the disk is busy are written together. */
class Spill {
  readonly #onError: (error: unknown) => void;
  readonly #checksums = new RunningChecksums();
  readonly #key: CacheKey;
  readonly #folder: EntryFolder;
  #file: TemporaryFile | null = null;
  #backlog: Uint8Array[] = [];
  #backlogBytes = 0;
  #isBusy = false;
  #isDiscarded = false;
  #onRemoved: (() => void) | null = null;
  #onFinished: ((file: TemporaryFile | null, checksums: Uint32Array) => void) | null = null;

  constructor(key: CacheKey, folder: EntryFolder, onError: (error: unknown) => void) {
    this.#key = key;
    this.#folder = folder;
    this.#onError = onError;
  }

  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  push(bytes: Uint8Array): void {
    this.#checksums.push(bytes);
    this.#backlog.push(Uint8Array.from(bytes));
    this.#backlogBytes += bytes.length;
    this.#work();
  }

  /** @param callback Called once, never at once. `null`: the file was discarded. */
  finish(callback: (file: TemporaryFile | null, checksums: Uint32Array) => void): void {
    this.#onFinished = callback;
    this.#work();
  }

  /** Removes the file. Resolves when it is gone. */
  discard(): Promise<void> {
    this.#isDiscarded = true;
    return new Promise((resolve) => {
      this.#onRemoved = resolve;
      this.#work();
    });
  }

  #work(): void {
    if (this.#isBusy) return;
    this.#isBusy = true;
    void this.#run()
      .catch((error: unknown) => {
        // The writer discards the spill, which removes the file below.
        if (!this.#isDiscarded) this.#onError(error);
        this.#isDiscarded = true;
      })
      .finally(() => this.#rest());
  }

  async #run(): Promise<void> {
    if (this.#isDiscarded) return;
    this.#file ??= await this.#folder.createTemporary(this.#key);
    while (this.#backlog.length > 0 && !this.#isDiscarded) {
      const bytes = join(this.#backlog, this.#backlogBytes);
      this.#backlog = [];
      await this.#file.append(bytes);
      this.#backlogBytes -= bytes.length;
    }
  }

  #rest(): void {
    this.#isBusy = false;
    if (this.#isDiscarded) {
      this.#backlog = [];
      const file = this.#file;
      this.#file = null;
      const finished = this.#onFinished;
      this.#onFinished = null;
      void (file?.discard() ?? Promise.resolve()).then(() => this.#onRemoved?.());
      finished?.(null, new Uint32Array());
      return;
    }
    if (this.#backlog.length > 0) {
      this.#work();
      return;
    }
    const finished = this.#onFinished;
    if (finished === null || this.#file === null) return;
    this.#onFinished = null;
    const file = this.#file;
    this.#file = null;
    finished(file, this.#checksums.finish());
  }
}

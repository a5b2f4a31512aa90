import { isMissing } from "../bodies/nameless-file.ts";
import { FileBodySource } from "../files/file-body-source.ts";
import type { BodySource } from "../http/client.ts";
import { ByteClock } from "./byte-clock.ts";
import type { CacheKey } from "./cache-key.ts";
import { toEntryBody } from "./entry-body.ts";
import { toChecksums } from "./entry-file.ts";
import { EntryFolder, type FoundFile } from "./entry-folder.ts";
import { covers, EntryIndex, isWithin } from "./entry-index.ts";
import { BodyWriter, type WrittenBody } from "./entry-writer.ts";
import { FolderScan, type ScannedFile } from "./folder-scan.ts";
import { type BodyOnDisk, DiskFile, type EntryContent, LoadedEntry, Slot } from "./slot.ts";
import type {
  CacheStore,
  EntryWriter,
  Purge,
  StoredEntry,
  StoreStats,
  UnloadedEntry,
} from "./store.ts";
import type { StoredHead } from "./stored-head.ts";
import { varyValues } from "./vary-values.ts";
import { WriteQueue } from "./write-queue.ts";

export interface StoreOptions {
  /** Limit of the memory for entries and for the index of those on disk. */
  memoryBytes: number;
  /** Folder and limit of the entries on disk; `null`: memory only. */
  disk: { dir: string; limitBytes: number } | null;
  /** Called when the disk refuses something. Requests are answered all the same. */
  onProblem: (error: Error) => void;
  /** Wall clock. Default: `Date.now`. */
  now?: () => number;
}

/** Largest body that is kept in memory when there is a disk tier. Larger ones are read from disk in pieces. */
const MOST_RESIDENT_BYTES = 1024 * 1024;

/** Time for which nothing is written after the disk has refused a write. */
const DISK_PAUSE_MS = 5_000;

/**
 * Answers in memory, and on disk if there is a folder. Every entry that fits goes to memory at once and to disk later.
 * An entry that memory drops is loaded again from disk. decisions/058 describes limits and files.
 */
export class TieredStore implements CacheStore {
  readonly #memoryBytes: number;
  readonly #diskBytes: number;
  readonly #folder: EntryFolder | null;
  readonly #onProblem: (error: Error) => void;
  readonly #now: () => number;
  readonly #index = new EntryIndex<Slot>();
  readonly #memory: ByteClock<LoadedEntry>;
  readonly #disk: ByteClock<DiskFile>;
  readonly #queue: WriteQueue<LoadedEntry>;
  readonly #scan: FolderScan | null;
  readonly #writers = new Set<BodyWriter>();
  readonly #openFile = this.#openBody.bind(this);
  /** Memory of all slots, and of bodies that writers collect. */
  #slotBytes = 0;
  #writingBytes = 0;
  #evictions = 0;
  #rejections = 0;
  #diskPausedUntilMs = 0;
  #reportedMs = -Infinity;
  /** Work on files that has not ended. */
  readonly #running = new Set<Promise<void>>();
  /** Entries whose files are getting their names. */
  readonly #unpublished = new Set<Slot>();
  #closing: Promise<void> | null = null;

  constructor({ memoryBytes, disk, onProblem, now = Date.now }: StoreOptions) {
    this.#memoryBytes = memoryBytes;
    this.#diskBytes = disk?.limitBytes ?? 0;
    this.#folder = disk === null ? null : new EntryFolder(disk.dir);
    this.#onProblem = onProblem;
    this.#now = now;
    this.#memory = new ByteClock(
      () => Math.max(0, this.#memoryBytes - this.#slotBytes),
      (entry) => this.#onMemoryEvict(entry),
    );
    this.#disk = new ByteClock(
      // The index takes at most half of the memory. Beyond that, files go one by one.
      () =>
        this.#slotBytes > this.#memoryBytes / 2
          ? Math.min(this.#diskBytes, this.#disk.totalBytes - 1)
          : this.#diskBytes,
      (file) => this.#onDiskEvict(file),
    );
    this.#queue = new WriteQueue((entry) => this.#writeFile(entry));
    this.#scan =
      this.#folder === null
        ? null
        : new FolderScan(this.#folder, {
            onFound: (files) => this.#indexFound(files),
            onProblem: (error) => this.#report("Cannot read the folder of the cache", error),
          });
  }

  find(key: CacheKey, requestFields: string): StoredEntry | UnloadedEntry | null {
    const slot = this.#index.find(key, requestFields);
    if (slot === null) {
      return this.#scan?.mayHold(key) === true ? this.#search(key, requestFields) : null;
    }
    const { file } = slot;
    if (file !== null) file.isRecentlyUsed = true;
    const loaded = slot.loaded ?? slot.writing;
    if (loaded === null) {
      return { isLoaded: false, load: (callback) => this.#load(slot, callback) };
    }
    loaded.isRecentlyUsed = true;
    return loaded;
  }

  begin(key: CacheKey, request: { fields: string; bodyBytes: number | null }): EntryWriter {
    const hasDisk = this.#folder !== null && !this.#isDiskFailing && this.#closing === null;
    // A body takes at most a quarter of its tier: one answer must not push out all others.
    const memoryBodyBytes = hasDisk ? this.#residentBytes : this.#memoryBytes / 4;
    const writer: BodyWriter = new BodyWriter(key, {
      bodyBytes: request.bodyBytes,
      memoryBodyBytes,
      mostBodyBytes: hasDisk ? Math.max(memoryBodyBytes, this.#diskBytes / 4) : memoryBodyBytes,
      reserve: (bytes) => this.#reserve(bytes),
      folder: hasDisk ? this.#folder : null,
      onDiskError: (error) => this.#onDiskError(error),
      track: (work) => this.#track(work),
      onCommit: (head, body, callback) => {
        const slot = new Slot(key, varyValues(head.vary, request.fields), head);
        this.#admit(slot, head, { body, onStored: callback });
      },
      onEnd: (ended, end) => {
        this.#writers.delete(ended);
        if (end === "given-up") this.#rejections++;
      },
    });
    if (writer.isStoring) this.#writers.add(writer);
    return writer;
  }

  freshen(entry: StoredEntry, head: StoredHead): StoredEntry | null {
    if (!(entry instanceof LoadedEntry) || !entry.isCurrent) return null;
    const { slot: before, bytes, onDisk } = entry;
    const { bodyBytes, vary } = before;
    const whole: StoredHead = Object.freeze({ ...head, bodyBytes, vary });
    const slot = new Slot(before.key, before.varyValues, whole);
    slot.file = before.file;
    if (slot.file !== null) slot.file.slot = slot;
    before.file = null;
    this.#index.replace(before, slot);
    this.#slotBytes += slot.weightBytes;
    this.#retire(before);
    const fresh = this.#keep(slot, { head: whole, bytes, onDisk }, onDisk === null);
    if (onDisk !== null) this.#rewriteTail(fresh, onDisk);
    return fresh;
  }

  delete(entry: StoredEntry): void {
    if (entry instanceof LoadedEntry) this.#drop(entry.slot);
  }

  purge(purge: Purge, onDone: (count: number) => void = () => {}): void {
    for (const writer of this.#writers) {
      // The tags of an answer are known when it is complete.
      if (purge.kind === "tag") {
        if (isWithin(purge, writer.key)) writer.purgedTags.add(purge.tag);
      } else if (covers(purge, { key: writer.key, tags: [] })) writer.giveUp();
    }
    for (const slot of this.#unpublished) if (covers(purge, slot)) slot.isGone = true;
    const slots = this.#index.covered(purge);
    for (const slot of slots) this.#drop(slot);
    void this.#settleOnDisk(purge).then((found) => onDone(slots.length + found));
  }

  stats(): StoreStats {
    return {
      entries: this.#index.size,
      memoryEntries: this.#memory.size,
      memoryBytes: this.#memory.totalBytes + this.#slotBytes + this.#writingBytes,
      memoryLimitBytes: this.#memoryBytes,
      diskEntries: this.#disk.size,
      diskBytes: this.#disk.totalBytes,
      diskLimitBytes: this.#diskBytes,
      evictions: this.#evictions,
      rejections: this.#rejections,
      isScanning: this.#scan?.isRunning === true,
      isDiskFailing: this.#isDiskFailing,
    };
  }

  close(): Promise<void> {
    this.#closing ??= this.#finish();
    return this.#closing;
  }

  async #finish(): Promise<void> {
    for (const writer of this.#writers) writer.giveUp();
    await this.#scan?.close();
    await this.#queue.idle();
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  /** Waits until no file of a purged entry is left. Returns the number of entries that the scan has found and removed. */
  async #settleOnDisk(purge: Purge): Promise<number> {
    const found = await this.#scan?.purge(purge);
    // A file that is being written belongs to a purged entry, perhaps. Its writer removes it then.
    await Promise.all([this.#queue.settled(), ...this.#running]);
    await Promise.all(this.#running);
    return found ?? 0;
  }

  get #residentBytes(): number {
    return Math.min(MOST_RESIDENT_BYTES, this.#memoryBytes / 8);
  }

  get #isDiskFailing(): boolean {
    return this.#now() < this.#diskPausedUntilMs;
  }

  /** Half of the memory is for bodies that are not complete: slow answers must not push out stored ones. */
  #reserve(bytes: number): boolean {
    if (bytes > 0 && this.#writingBytes + bytes > this.#memoryBytes / 2) return false;
    this.#writingBytes += bytes;
    return true;
  }

  #admit(slot: Slot, head: StoredHead, { body, onStored }: Admission): void {
    if (body.kind === "file") {
      this.#track(this.#publish(slot, head, body).then(onStored));
      return;
    }
    if (!this.#place(slot)) {
      onStored(null);
      return;
    }
    onStored(this.#keep(slot, { head, bytes: body.bytes, onDisk: null }, true));
  }

  /** Never throws. */
  async #publish(
    slot: Slot,
    head: StoredHead,
    { file, checksums }: Extract<WrittenBody, { kind: "file" }>,
  ): Promise<StoredEntry | null> {
    this.#unpublished.add(slot);
    try {
      const { key, varyValues: values } = slot;
      const fileBytes = await file.publish({
        record: { key, varyValues: values, head },
        checksums,
      });
      if (slot.isGone || !this.#place(slot)) {
        this.#remove(file.name);
        return null;
      }
      const onDisk = { file: this.#attach(slot, file.name, fileBytes), checksums };
      if (slot.isGone) return null;
      return this.#keep(slot, {
        head,
        bytes: null,
        onDisk: { ...onDisk, bodyBytes: head.bodyBytes },
      });
    } catch (error) {
      await file.discard();
      this.#onDiskError(error);
      return null;
    } finally {
      this.#unpublished.delete(slot);
    }
  }

  /** Puts an entry into the index. Returns `false` when a newer one is there. */
  #place(slot: Slot): boolean {
    const replaced = this.#index.add(slot);
    if (replaced === null) return false;
    this.#slotBytes += slot.weightBytes;
    for (const each of replaced) this.#retire(each);
    return true;
  }

  /** Keeps the head of an entry in memory, and makes room for it. */
  #keep(slot: Slot, content: EntryContent, isNew = false): LoadedEntry {
    const entry = new LoadedEntry(slot, content, this.#openFile);
    slot.loaded = entry;
    // Memory may have no room for the entry: it waits for the disk then.
    if (isNew) slot.writing = entry;
    this.#memory.add(entry);
    this.#disk.makeRoom();
    if (isNew) this.#enqueue(entry);
    return entry;
  }

  /** Gives an entry its file. Returns the file, which may have been evicted at once. */
  #attach(slot: Slot, name: string, fileBytes: number): DiskFile {
    const before = slot.file;
    if (before !== null && this.#disk.delete(before)) this.#remove(before.name);
    const file = new DiskFile(name, fileBytes, slot);
    slot.file = file;
    this.#disk.add(file);
    return file;
  }

  /** Removes an entry from the index and from both tiers. */
  #drop(slot: Slot): void {
    if (this.#index.delete(slot)) this.#retire(slot);
  }

  /** Removes an entry, which is no longer in the index, from both tiers. */
  #retire(slot: Slot): void {
    const { loaded, file } = slot;
    slot.isGone = true;
    slot.loaded = null;
    slot.file = null;
    this.#slotBytes -= slot.weightBytes;
    if (loaded !== null) this.#memory.delete(loaded);
    if (file !== null && this.#disk.delete(file)) this.#remove(file.name);
  }

  #onMemoryEvict({ slot }: LoadedEntry): void {
    slot.loaded = null;
    this.#dropIfLost(slot);
  }

  #onDiskEvict(file: DiskFile): void {
    const { slot } = file;
    this.#remove(file.name);
    slot.file = null;
    this.#dropIfLost(slot);
  }

  /** Removes an entry whose body is in neither tier, and is not on its way to disk. */
  #dropIfLost(slot: Slot): void {
    const isInMemory = slot.loaded !== null && slot.loaded.bytes !== null;
    if (isInMemory || slot.file !== null || slot.writing !== null || slot.isGone) return;
    this.#evictions++;
    this.#drop(slot);
  }

  /** Writes an entry to disk later, if there is a disk that takes it. */
  #enqueue(entry: LoadedEntry): void {
    const { slot } = entry;
    const isWanted = this.#folder !== null && !this.#isDiskFailing && this.#closing === null;
    if (isWanted && !slot.isGone && this.#queue.push(entry)) return;
    if (isWanted) this.#rejections++;
    slot.writing = null;
    this.#dropIfLost(slot);
  }

  /** Never throws. */
  async #writeFile({ slot, head, bytes }: LoadedEntry): Promise<void> {
    try {
      if (slot.isGone || bytes === null || this.#folder === null || this.#isDiskFailing) return;
      const { key, varyValues: values } = slot;
      const tail = { record: { key, varyValues: values, head }, checksums: toChecksums(bytes) };
      const { name, fileBytes } = await this.#folder.write(tail, bytes);
      if (slot.isGone) this.#remove(name);
      else this.#attach(slot, name, fileBytes);
    } catch (error) {
      this.#onDiskError(error);
    } finally {
      slot.writing = null;
      this.#dropIfLost(slot);
    }
  }

  /** Writes the head that a 304 has renewed behind a body that stays. */
  #rewriteTail({ slot, head }: LoadedEntry, { file, checksums }: BodyOnDisk): void {
    const rewrite = async (): Promise<void> => {
      if (slot.isGone || this.#folder === null || this.#isDiskFailing) return;
      const { key, varyValues: values } = slot;
      const record = { key, varyValues: values, head };
      try {
        await this.#folder.rewriteTail(file.name, { record, checksums });
      } catch (error) {
        // The file has neither the old nor the new head, perhaps.
        this.#drop(file.slot);
        this.#onDiskError(error);
      }
    };
    file.idle = file.idle.then(rewrite);
    this.#track(file.idle);
  }

  #load(slot: Slot, callback: (entry: StoredEntry | null) => void): void {
    if (slot.waiting !== null) {
      slot.waiting.push(callback);
      return;
    }
    const waiting = [callback];
    slot.waiting = waiting;
    const finish = (entry: StoredEntry | null): void => {
      slot.waiting = null;
      for (const each of waiting) each(entry);
    };
    this.#track(this.#read(slot).then(finish));
  }

  /** Never throws. */
  async #read(slot: Slot): Promise<StoredEntry | null> {
    const { file } = slot;
    if (slot.loaded !== null || file === null || this.#folder === null) return slot.loaded;
    try {
      await file.idle;
      const found = await this.#folder.read(file.name, this.#residentBytes + TAIL_ALLOWANCE_BYTES);
      if (slot.isGone) return null;
      if (slot.loaded !== null) return slot.loaded;
      if (found === null || !isSamePlace(found, slot)) {
        this.#drop(slot);
        return null;
      }
      const { record, checksums, bytes } = found;
      const { head } = record;
      const onDisk = bytes === null ? { file, checksums, bodyBytes: head.bodyBytes } : null;
      return this.#keep(slot, { head, bytes, onDisk });
    } catch (error) {
      this.#report("Cannot read an entry of the cache", error);
      return null;
    }
  }

  #search(key: CacheKey, requestFields: string): UnloadedEntry {
    const load = async (callback: (entry: StoredEntry | null) => void): Promise<void> => {
      await this.#scan?.lookUp(key);
      const slot = this.#index.find(key, requestFields);
      if (slot === null) callback(null);
      else this.#load(slot, callback);
    };
    return { isLoaded: false, load: (callback) => this.#track(load(callback)) };
  }

  #indexFound(files: readonly ScannedFile[]): void {
    for (const { name, found } of files) {
      const { key, varyValues: values, head } = found.record;
      const slot = new Slot(key, values, head);
      if (this.#place(slot)) this.#attach(slot, name, found.fileBytes);
      else this.#remove(name);
    }
  }

  #openBody(
    { file, bodyBytes, checksums }: BodyOnDisk,
    range: { start: number; lengthBytes: number },
    onOpen: (body: BodySource | null) => void,
  ): void {
    const open = async (): Promise<BodySource | null> => {
      try {
        const handle = await this.#folder?.open(file.name);
        if (handle === undefined) return null;
        const body = toEntryBody({ handle, bodyBytes, checksums }, range);
        return new FileBodySource(body, (error) => {
          this.#drop(file.slot);
          this.#report("Cannot send an entry of the cache", error);
        });
      } catch (error) {
        this.#drop(file.slot);
        if (!isMissing(error)) this.#report("Cannot open an entry of the cache", error);
        return null;
      }
    };
    this.#track(open().then(onOpen));
  }

  #remove(name: string): void {
    if (this.#folder === null) return;
    this.#track(
      this.#folder.remove(name).catch((error: unknown) => {
        this.#report("Cannot remove an entry of the cache", error);
      }),
    );
  }

  #track(work: Promise<void>): void {
    const tracked = work.finally(() => this.#running.delete(tracked));
    this.#running.add(tracked);
  }

  #onDiskError(error: unknown): void {
    this.#diskPausedUntilMs = this.#now() + DISK_PAUSE_MS;
    this.#rejections++;
    this.#report("Cannot write to the cache", error);
  }

  /** A full disk has the same error for each entry: the log gets one line in a while. */
  #report(message: string, error: unknown): void {
    const nowMs = this.#now();
    if (nowMs - this.#reportedMs < REPORT_EACH_MS) return;
    this.#reportedMs = nowMs;
    const reason = error instanceof Error ? error.message : String(error);
    this.#onProblem(new Error(`${message}: ${reason}`, { cause: error }));
  }
}

interface Admission {
  body: WrittenBody;
  onStored: (entry: StoredEntry | null) => void;
}

/** Room for the part of a file behind a body that fits in memory. */
const TAIL_ALLOWANCE_BYTES = 64 * 1024;

const REPORT_EACH_MS = 10_000;

/** The file's own record must agree with its name: the name has a part of a hash only. */
function isSamePlace({ record }: FoundFile, slot: Slot): boolean {
  const { key, varyValues: values } = record;
  return (
    key.page === slot.key.page &&
    key.search === slot.key.search &&
    key.cookies === slot.key.cookies &&
    values === slot.varyValues
  );
}

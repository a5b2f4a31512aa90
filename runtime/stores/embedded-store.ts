import { randomInt } from "node:crypto";
import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import type * as Lmdb from "lmdb";
import type { Database, RootDatabase } from "lmdb";
import { settledWithin } from "../lib/settled-within.ts";
import { describeFailure, ignoreFailure } from "./commit-failure.ts";
import {
  decodeEntry,
  encodeEntry,
  type FileEntry,
  readExpiryKey,
  toExpiryKey,
  toFileKey,
  toValueKey,
} from "./embedded-entry.ts";
import { InFlight } from "./in-flight.ts";
import {
  type Entry,
  type Expiry,
  type KeyedEntry,
  type KeyRange,
  type ListOptions,
  type NewEntry,
  type Store,
  type StoredEntry,
  StoreError,
} from "./store.ts";
import { within } from "./within.ts";

export interface EmbeddedStoreOptions {
  /** Absolute path of the file. Its folder is created. */
  path: string;
  /** `disk`: a write is acknowledged when the disk has it; `process`: when the kernel has it. */
  durability: "process" | "disk";
  /** Longest time of an operation with all its attempts, in ms. */
  timeoutMs: number;
  now?: () => number;
}

/** Longest wait for the library when all operations have ended. */
const CLOSE_MS = 2_000;

/** Expired entries that a write removes at most: files of entries that expire do not grow without end. */
const SWEPT_PER_WRITE = 4;

/** Keys that one turn of the event loop counts: about 3 ms. */
const KEYS_PER_SLICE = 3_000;

/** Address space for the file, not memory: a larger one needs no change of the mapping for long. */
const FIRST_MAP_BYTES = 4 * 1024 ** 3;

/** Longest key of the library, less the parts that this file adds. */
const MAX_KEY_BYTES = 1_900;

/**
 * Opens a store in a file that several processes of this machine share (LMDB). Reads come from the mapped file. Writes are
 * queued, and a thread of the library commits them together: no process holds the lock of the file while its own code runs.
 *
 * @throws StoreError when the library has no binary for this machine, or the file cannot be opened.
 */
export async function openEmbeddedStore(options: EmbeddedStoreOptions): Promise<Store> {
  let lmdb: typeof Lmdb;
  try {
    lmdb = await import("lmdb");
  } catch (cause) {
    throw new StoreError(
      "Cannot open an embedded store: the package lmdb does not load, expected it to be installed (npm install lmdb)",
      { cause },
    );
  }
  try {
    mkdirSync(dirname(options.path), { recursive: true, mode: 0o700 });
    const db = lmdb.open<Buffer, Buffer>({
      path: options.path,
      noSubdir: true,
      encoding: "binary",
      keyEncoding: "binary",
      useVersions: true,
      // Its batches make promises of their own, whose rejection no code can handle when a commit fails.
      eventTurnBatching: false,
      // The library enlarges it when needed.
      mapSize: FIRST_MAP_BYTES,
    });
    return new EmbeddedStore(db, options);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new StoreError(
      `Cannot open the store ${options.path}: ${reason}, expected a file that can be written`,
      { cause },
    );
  }
}

/** An entry with the facts that a write needs. */
interface Found {
  readonly entry: FileEntry;
  readonly version: number;
  readonly isExpired: boolean;
}

class EmbeddedStore implements Store {
  readonly #db: RootDatabase<Buffer, Buffer>;
  readonly #options: EmbeddedStoreOptions;
  readonly #now: () => number;
  /** Sums of this process that wait for the one in flight, by key. */
  readonly #sums = new Map<string, Promise<unknown>>();
  readonly #inFlight = new InFlight();
  #closing: Promise<void> | null = null;

  constructor(db: RootDatabase<Buffer, Buffer>, options: EmbeddedStoreOptions) {
    this.#db = db;
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get(space: string, key: string): Promise<Entry | null> {
    return this.#try(() => {
      const fileKey = toFileKey(space, key);
      const found = this.#find(fileKey);
      return found === null || found.isExpired ? null : this.#toEntry(fileKey, found);
    });
  }

  put(
    space: string,
    key: string,
    { version: expected, ...entry }: NewEntry & { version?: string | null },
  ): Promise<string | null> {
    return this.#repeat(async (deadlineMs) => {
      const fileKey = toCheckedKey(space, key);
      const found = this.#find(fileKey);
      const present = found === null || found.isExpired ? null : String(found.version);
      if (expected !== undefined && expected !== present) return { value: null };
      const next = { fileKey, entry: this.#toStored(entry) };
      return this.#replace({ fileKey, found }, next, deadlineMs);
    });
  }

  delete(space: string, key: string, version?: string): Promise<boolean> {
    return this.#repeat(async (deadlineMs) => {
      const fileKey = toCheckedKey(space, key);
      const found = this.#find(fileKey);
      if (found === null || found.isExpired) return { value: false };
      if (version !== undefined && version !== String(found.version)) return { value: false };
      const result = await this.#replace({ fileKey, found }, null, deadlineMs);
      return result === null ? null : { value: true };
    });
  }

  move(
    space: string,
    from: { key: string; version: string },
    { key, ...entry }: NewEntry & { key: string },
  ): Promise<string | null> {
    return this.#repeat(async (deadlineMs) => {
      const fileKey = toCheckedKey(space, from.key);
      const found = this.#find(fileKey);
      if (found === null || found.isExpired || String(found.version) !== from.version) {
        return { value: null };
      }
      const next = { fileKey: toCheckedKey(space, key), entry: this.#toStored(entry) };
      return this.#replace({ fileKey, found }, next, deadlineMs);
    });
  }

  /** Sums of one process for a key go one after the other: they would only make each other stale. */
  async add(
    space: string,
    key: string,
    { by, ...expiry }: { by: number } & Expiry,
  ): Promise<number> {
    const name = `${space}\0${key}`;
    const earlier = this.#sums.get(name);
    const own = this.#repeat(async (deadlineMs) => {
      // Its own caller learns its failure.
      const settled = Promise.allSettled([earlier]);
      await within(settled, leftOf(deadlineMs), "the sums before this one");
      const fileKey = toCheckedKey(space, key);
      const found = this.#find(fileKey);
      const isThere = found !== null && !found.isExpired;
      const sum = (isThere ? toNumber(found.entry.value, key) : 0) + by;
      const entry: StoredEntry = {
        value: Buffer.from(String(sum)),
        metadata: isThere ? found.entry.metadata : null,
        expiresMs: isThere ? found.entry.expiresMs : this.#toTime(expiry),
      };
      const result = await this.#replace({ fileKey, found }, { fileKey, entry }, deadlineMs);
      return result === null ? null : { value: sum };
    });
    this.#sums.set(name, own);
    try {
      return await own;
    } finally {
      if (this.#sums.get(name) === own) this.#sums.delete(name);
    }
  }

  list(space: string, options: ListOptions): Promise<KeyedEntry[]> {
    const { prefix, after, limit, withoutValues = false } = options;
    return this.#try(() => {
      this.#db.resetReadTxn();
      const head = toFileKey(space, "");
      const first = toFileKey(space, prefix);
      const last = after === null ? null : toFileKey(space, after);
      const start = last === null || Buffer.compare(last, first) < 0 ? first : last;
      const now = this.#now();
      const entries: KeyedEntry[] = [];
      for (const { key, value, version = 0 } of this.#db.getRange({ start, versions: true })) {
        if (entries.length >= limit || !startsWith(key, first)) break;
        if (last !== null && Buffer.compare(key, last) <= 0) continue;
        const entry = decodeEntry(value);
        if (isExpired(entry, now)) continue;
        const name = Buffer.from(key).toString("utf8", head.length);
        const found = { entry: withoutValues ? { ...entry, value: EMPTY } : entry, version };
        entries.push({ key: name, ...this.#toEntry(key, found) });
      }
      return entries;
    });
  }

  /** Counts in slices: a range of many keys must not block the event loop. */
  count(space: string, { from, before }: KeyRange): Promise<number> {
    return this.#try(async () => {
      const end = toFileKey(space, before);
      let start = toFileKey(space, from);
      for (let counted = 0; ; counted += KEYS_PER_SLICE) {
        this.#db.resetReadTxn();
        const [next] = this.#db.getKeys({ start, end, offset: KEYS_PER_SLICE, limit: 1 });
        if (next === undefined) return counted + this.#db.getKeysCount({ start, end });
        start = Buffer.from(next);
        // oxlint-disable-next-line no-await-in-loop -- Other work comes between two slices.
        await nextTurn();
      }
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#inFlight.close();
    // After a commit that failed, the library never ends its own wait.
    await settledWithin(this.#db.close(), CLOSE_MS);
  }

  /** Adds the value, if it has a record of its own. Must run in the turn in which the entry was found. */
  #toEntry(fileKey: Uint8Array, { entry, version }: Pick<Found, "entry" | "version">): Entry {
    const value = entry.value ?? this.#db.get(toValueKey(fileKey)) ?? EMPTY;
    return { ...entry, value, version: String(version) };
  }

  #toStored({ value, metadata, ...expiry }: NewEntry): StoredEntry {
    return { value, metadata, expiresMs: this.#toTime(expiry) };
  }

  #toTime({ expiresMs, ttlMs }: Expiry): number {
    return ttlMs === undefined ? expiresMs : this.#now() + ttlMs;
  }

  #find(fileKey: Buffer): Found | null {
    // A snapshot of an earlier operation may be older than a write of another process.
    this.#db.resetReadTxn();
    const found = this.#db.getEntry(fileKey);
    if (found === undefined) return null;
    const entry = decodeEntry(found.value);
    return { entry, version: found.version ?? 0, isExpired: isExpired(entry, this.#now()) };
  }

  /**
   * Replaces the entry of a key, or removes it, if it is still as it was found. Returns the version of the new entry; `null`:
   * another write was faster.
   */
  async #replace(
    { fileKey, found }: { fileKey: Buffer; found: Found | null },
    next: { fileKey: Buffer; entry: StoredEntry } | null,
    deadlineMs: number,
  ): Promise<{ value: string } | null> {
    const db: Database<Buffer, Buffer> = this.#db;
    const version = randomInt(1, 2 ** 48 - 1);
    const swept = this.#findSwept();
    const records = next === null ? null : encodeEntry(next.entry);
    const write = (): void => {
      if (next === null || !next.fileKey.equals(fileKey)) ignoreFailure(db.remove(fileKey));
      if (found !== null) this.#removeBeside(fileKey, found.entry);
      if (next === null || records === null) return;
      ignoreFailure(db.put(next.fileKey, records.head, version));
      if (records.value !== null) ignoreFailure(db.put(toValueKey(next.fileKey), records.value, 1));
      const { expiresMs } = next.entry;
      if (expiresMs > 0) ignoreFailure(db.put(toExpiryKey(expiresMs, next.fileKey), EMPTY, 1));
    };
    const done =
      found === null ? db.ifNoExists(fileKey, write) : db.ifVersion(fileKey, found.version, write);
    ignoreFailure(done);
    for (const sweep of swept) sweep();
    const { durability, path } = this.#options;
    const isDone = await within(done, leftOf(deadlineMs), `a write to ${path}`);
    if (!isDone) return null;
    if (durability === "disk") {
      await within(db.flushed, leftOf(deadlineMs), `the disk of ${path}`);
    }
    return { value: String(version) };
  }

  /** Removes the records of an entry that are beside its first one. */
  #removeBeside(fileKey: Buffer, { value, expiresMs }: FileEntry): void {
    const db: Database<Buffer, Buffer> = this.#db;
    if (value === null) ignoreFailure(db.remove(toValueKey(fileKey)));
    if (expiresMs > 0) ignoreFailure(db.remove(toExpiryKey(expiresMs, fileKey)));
  }

  /** Returns functions that remove the oldest expired entries, unless these were written again. */
  #findSwept(): (() => void)[] {
    const end = toExpiryKey(this.#now(), EMPTY);
    const db: Database<Buffer, Buffer> = this.#db;
    const records = db.getKeys({ start: FIRST_EXPIRY, end, limit: SWEPT_PER_WRITE });
    return [...records].map((record) => {
      const { expiresMs, fileKey } = readExpiryKey(record);
      const found = db.getEntry(fileKey);
      const entry = found === undefined ? null : decodeEntry(found.value);
      return () => {
        ignoreFailure(db.remove(Buffer.from(record)));
        if (entry?.expiresMs !== expiresMs) return;
        const remove = (): void => {
          ignoreFailure(db.remove(fileKey));
          this.#removeBeside(fileKey, entry);
        };
        ignoreFailure(db.ifVersion(fileKey, found?.version ?? 0, remove));
      };
    });
  }

  /** Runs an operation again while other processes make it stale, until its time is over. */
  #repeat<T>(attempt: (deadlineMs: number) => Promise<{ value: T } | null>): Promise<T> {
    const { timeoutMs, path } = this.#options;
    const deadlineMs = performance.now() + timeoutMs;
    return this.#try(async () => {
      do {
        // oxlint-disable-next-line no-await-in-loop -- Each attempt follows the failure of the one before.
        const result = await attempt(deadlineMs);
        if (result !== null) return result.value;
      } while (performance.now() < deadlineMs);
      throw new StoreError(
        `Cannot write to ${path}: other writes to the same key were faster for ${timeoutMs} ms`,
      );
    });
  }

  #try<T>(run: () => T | Promise<T>): Promise<T> {
    return this.#inFlight.run(async () => {
      try {
        return await run();
      } catch (cause) {
        if (cause instanceof StoreError || cause instanceof TypeError) throw cause;
        const reason = await describeFailure(cause);
        throw new StoreError(`Cannot use the store ${this.#options.path}: ${reason}`, { cause });
      }
    });
  }
}

const EMPTY = Buffer.alloc(0);
const FIRST_EXPIRY = Buffer.from("x");

function leftOf(deadlineMs: number): number {
  return Math.max(0, deadlineMs - performance.now());
}

function isExpired({ expiresMs }: Pick<StoredEntry, "expiresMs">, now: number): boolean {
  return expiresMs > 0 && expiresMs <= now;
}

function startsWith(key: Uint8Array, prefix: Uint8Array): boolean {
  return Buffer.compare(key.subarray(0, prefix.length), prefix) === 0;
}

function toCheckedKey(space: string, key: string): Buffer {
  const fileKey = toFileKey(space, key);
  if (fileKey.length <= MAX_KEY_BYTES) return fileKey;
  throw new TypeError(
    `Cannot use a key of ${Buffer.byteLength(key)} bytes in a store, expected at most ${MAX_KEY_BYTES - toFileKey(space, "").length}`,
  );
}

/** Reads the number of a counter. */
function toNumber(value: Uint8Array | null, key: string): number {
  const number = value === null ? Number.NaN : Number(Buffer.from(value).toString("latin1"));
  if (Number.isSafeInteger(number)) return number;
  throw new StoreError(`Cannot add to ${JSON.stringify(key)}: found no whole number`);
}

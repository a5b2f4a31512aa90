/** One entry of a store. */
export interface Entry {
  readonly value: Uint8Array;
  /** Text in JSON; `null`: none. */
  readonly metadata: string | null;
  /** When it expires, in milliseconds on the scale of `Date.now()`; 0: never. */
  readonly expiresMs: number;
  /** Differs after each write. */
  readonly version: string;
}

export interface KeyedEntry extends Entry {
  readonly key: string;
}

/** The parts of an entry that a store keeps. */
export type StoredEntry = Omit<Entry, "version">;

/**
 * When a new entry expires: at a time, or so long after the write (`ttlMs`). The store measures `ttlMs` by the clock that lets entries
 * expire, which may be that of another machine.
 */
export type Expiry =
  | { readonly expiresMs: number; readonly ttlMs?: never }
  | { readonly ttlMs: number; readonly expiresMs?: never };

export type NewEntry = Pick<Entry, "value" | "metadata"> & Expiry;

/** The version that an entry must have before a write; `null`: there must be no entry. */
export type Expected = { readonly version: string | null };

export interface ListOptions {
  /** Keys begin with it. */
  readonly prefix: string;
  /** Only keys after this one; `null`: from the first. */
  readonly after: string | null;
  readonly limit: number;
  /** Leaves the values out, which are empty then. */
  readonly withoutValues?: boolean;
}

/** Keys in the order of their bytes. */
export interface KeyRange {
  /** The first key. */
  readonly from: string;
  /** The key after the last one. */
  readonly before: string;
}

/**
 * Keeps entries by key, in spaces that know nothing of each other. Every operation is atomic, also between processes. An
 * entry that has expired is not there for any of them. A promise is fulfilled when the write is as durable as the store
 * promises.
 *
 * All operations reject with a `StoreError` when the store cannot be reached or is full.
 */
export interface Store {
  /** `null`: there is no entry. */
  get(space: string, key: string): Promise<Entry | null>;
  /** Writes an entry. Returns its version; `null`: the entry was not as expected, and nothing is written. */
  put(space: string, key: string, entry: NewEntry & Partial<Expected>): Promise<string | null>;
  /** Removes an entry. Returns whether an entry was there, and had the expected version if one is given. */
  delete(space: string, key: string, version?: string): Promise<boolean>;
  /** Removes an entry of this version and writes another one, in one step. Returns as `put` does. */
  move(
    space: string,
    from: { key: string; version: string },
    to: NewEntry & { key: string },
  ): Promise<string | null>;
  /**
   * Adds to the number that an entry holds as decimal text, from 0 if there is no entry, and returns the sum. The expiry is
   * for a new entry; an entry that is there keeps its own.
   */
  add(space: string, key: string, sum: { by: number } & Expiry): Promise<number>;
  /** Returns entries in the order of the bytes of their keys. */
  list(space: string, options: ListOptions): Promise<KeyedEntry[]>;
  /**
   * Counts the keys of a range. Keys that have expired may count until a write removes them, and so may writes that happen
   * meanwhile.
   */
  count(space: string, range: KeyRange): Promise<number>;
  /** Refuses new operations, and waits for those in flight, each of which has a timeout. */
  close(): Promise<void>;
}

/** Tells why a store could not carry out an operation. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code = "ERR_STORE";
}

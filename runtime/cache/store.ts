import type { BodySource } from "../http/client.ts";
import type { CacheKey } from "./cache-key.ts";
import type { StoredHead } from "./stored-head.ts";

/**
 * Answers by key, in memory and on disk. Decides nothing about freshness: it keeps entries within its limits, and finds
 * them.
 */
export interface CacheStore {
  /**
   * Finds the entry for a request: the newest whose `Vary` fields match (RFC 9111 section 4.1). Never waits.
   *
   * @param requestFields Field block of the request.
   * @returns A loaded entry, an entry that is on disk only, or `null`. For the time in which the folder is being read
   *   after a start, an unknown key returns an unloaded entry, too: it looks on disk.
   */
  find(key: CacheKey, requestFields: string): StoredEntry | UnloadedEntry | null;

  /**
   * Begins an entry. The entry is found once it is committed; until then, an earlier one is.
   *
   * A purge that covers the URL ends all writers of the URL: their bytes may be older than the purge.
   *
   * @param request.fields Field block of the request, for `Vary`.
   * @param request.bodyBytes Announced size of the body; `null`: unknown. A body of another size is not stored.
   */
  begin(key: CacheKey, request: { fields: string; bodyBytes: number | null }): EntryWriter;

  /**
   * Replaces the head of an entry after a 304 (RFC 9111 section 4.3.4). Responses that are being sent keep the old head.
   *
   * @returns The entry with its new head; `null` when the entry was replaced, evicted or purged meanwhile.
   */
  freshen(entry: StoredEntry, head: StoredHead): StoredEntry | null;

  /** Removes an entry. Responses that are being sent from it go on. */
  delete(entry: StoredEntry): void;

  /**
   * Removes entries, with all their variants. Entries are no longer found once the call returns.
   *
   * @param onDone Called when the files are gone, too, with the number of removed entries. A later start cannot find
   *   them again from then on.
   */
  purge(purge: Purge, onDone?: (count: number) => void): void;

  stats(): StoreStats;

  /** Finishes writing the committed entries. Then ends. */
  close(): Promise<void>;
}

/** An entry whose head is in memory. Immutable: its head and bytes stay valid when the entry is removed. */
export interface StoredEntry {
  readonly isLoaded: true;
  readonly key: CacheKey;
  readonly head: StoredHead;
  /** The whole body, for entries that are small enough for memory; else `null`. */
  readonly bytes: Uint8Array | null;
  /** The store would still find it: it was not replaced, evicted or purged. */
  readonly isCurrent: boolean;
  /**
   * Opens a part of the body. The body stays readable to its end, also when the entry is replaced or evicted meanwhile.
   * It fails when the disk has other bytes than were stored.
   *
   * @param callback Called once, at once for bytes in memory. `null`: the body is gone; treat the request as a miss.
   */
  openBody(
    range: { start: number; lengthBytes: number },
    callback: (body: BodySource | null) => void,
  ): void;
}

/** An entry on disk. */
export interface UnloadedEntry {
  readonly isLoaded: false;
  /** @param callback Called once, never at once. `null`: there is no such entry, or it cannot be read. */
  load(callback: (entry: StoredEntry | null) => void): void;
}

/** Takes an answer into the store. Copies all bytes. */
export interface EntryWriter {
  /** `false`: the store has given the entry up, for lack of room, of disk, or because of a purge. Calls do nothing then. */
  readonly isStoring: boolean;
  /** Takes the next bytes of the body. Never waits: a disk that is too slow makes the store give the entry up. */
  push(bytes: Uint8Array): void;
  /**
   * Completes the entry. Call it only for a body that arrived whole.
   *
   * @param head `bodyBytes` is ignored: the store has counted.
   * @param callback Called once, at once for an entry that fits in memory. `null`: the answer was not stored.
   */
  commit(head: StoredHead, callback?: (entry: StoredEntry | null) => void): void;
  /** Gives the entry up. Does nothing after `commit`. */
  abort(): void;
}

/** Entries to remove. */
export type Purge = PurgedEntries & {
  /** Tells which spaces and origins the purge may reach; absent: all. */
  readonly within?: (place: EntryPlace) => boolean;
};

/** The part of an entry's key that tells which site it belongs to. */
export interface EntryPlace {
  /** As in the key; `""`: the default space. */
  readonly space: string;
  /** Scheme and authority of the entry's URL. */
  readonly origin: string;
}

/** `space`: as in the key, `""` for the default space; absent: all spaces. */
type PurgedEntries =
  /** One URL in its full form, with all variants and all cookies. */
  | { readonly kind: "url"; readonly url: string; readonly space?: string }
  /** All URLs that begin with this text. */
  | { readonly kind: "prefix"; readonly prefix: string; readonly space?: string }
  /** All entries with this tag. */
  | { readonly kind: "tag"; readonly tag: string; readonly space?: string }
  /** All entries. */
  | { readonly kind: "all"; readonly space?: string };

/** Numbers for the status page. */
export interface StoreStats {
  /** Entries that can be found, in memory or on disk. */
  readonly entries: number;
  /** Entries whose head or body is in memory, and the memory that all entries use. */
  readonly memoryEntries: number;
  readonly memoryBytes: number;
  readonly memoryLimitBytes: number;
  readonly diskEntries: number;
  readonly diskBytes: number;
  readonly diskLimitBytes: number;
  /** Entries that were removed to make room. */
  readonly evictions: number;
  /** Answers that were not stored for lack of room, disk or speed. */
  readonly rejections: number;
  /** The folder is still being read after the start. */
  readonly isScanning: boolean;
  /** The disk has refused writes a short time ago; new entries stay in memory. */
  readonly isDiskFailing: boolean;
}

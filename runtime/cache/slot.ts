import { BytesSource } from "../bodies/body-sources.ts";
import type { BodySource } from "../http/client.ts";
import type { Weighted } from "./byte-clock.ts";
import type { CacheKey } from "./cache-key.ts";
import type { Indexed } from "./entry-index.ts";
import type { StoredEntry } from "./store.ts";
import type { StoredHead } from "./stored-head.ts";

/** Memory that an entry uses in the index beside its texts. Measured with 100,000 entries of different URLs. */
const SLOT_BYTES = 900;

/** An entry of the index. Its head, its body or both are in memory, on disk or in both places. */
export class Slot implements Indexed {
  readonly key: CacheKey;
  readonly vary: readonly string[];
  readonly varyValues: string;
  readonly tags: readonly string[];
  readonly receivedMs: number;
  readonly bodyBytes: number;
  /** Memory of the slot itself. */
  readonly weightBytes: number;
  /** `null`: the head is on disk only. */
  loaded: LoadedEntry | null = null;
  /** `null`: the entry is in memory only, or not on disk yet. */
  file: DiskFile | null = null;
  /** The entry while it waits to be written to disk, and while it is being written; else `null`. */
  writing: LoadedEntry | null = null;
  /** Callers that wait until the entry is loaded; `null`: it is not being loaded. */
  waiting: ((entry: StoredEntry | null) => void)[] | null = null;
  /** The entry was replaced, evicted or purged. */
  isGone = false;

  constructor(key: CacheKey, varyValues: string, head: StoredHead) {
    this.key = key;
    this.varyValues = varyValues;
    this.vary = head.vary;
    this.tags = head.tags;
    this.receivedMs = head.receivedMs;
    this.bodyBytes = head.bodyBytes;
    this.weightBytes =
      SLOT_BYTES +
      key.page.length +
      key.search.length +
      key.cookies.length +
      varyValues.length +
      head.tags.reduce((sum, tag) => sum + tag.length + TAG_BYTES, 0);
  }
}

/** Memory for a tag of an entry beside its text. */
const TAG_BYTES = 100;

/** A file of the disk tier. */
export class DiskFile implements Weighted {
  readonly name: string;
  isRecentlyUsed = false;
  /** Room on disk: a file takes whole blocks. */
  readonly weightBytes: number;
  /** The entry that the file belongs to. A new head of the entry takes the file over. */
  slot: Slot;
  /** Settles when the file is not being rewritten. */
  idle: Promise<void> = Promise.resolve();

  constructor(name: string, fileBytes: number, slot: Slot) {
    this.name = name;
    this.weightBytes = Math.ceil(fileBytes / DISK_BLOCK_BYTES) * DISK_BLOCK_BYTES;
    this.slot = slot;
  }
}

const DISK_BLOCK_BYTES = 4096;

/** An entry whose head is in memory, and its body, too, if it is small. */
export class LoadedEntry implements StoredEntry, Weighted {
  readonly isLoaded = true;
  readonly slot: Slot;
  readonly head: StoredHead;
  readonly bytes: Uint8Array | null;
  /** A body that is on disk only; `null`: it is in memory. */
  readonly onDisk: BodyOnDisk | null;
  readonly weightBytes: number;
  isRecentlyUsed = false;
  readonly #openFile: OpenFile;

  constructor(slot: Slot, { head, bytes, onDisk }: EntryContent, openFile: OpenFile) {
    this.slot = slot;
    this.head = head;
    this.bytes = bytes;
    this.onDisk = onDisk;
    this.weightBytes =
      HEAD_BYTES + head.fields.length + (bytes?.length ?? 0) + (onDisk?.checksums.byteLength ?? 0);
    this.#openFile = openFile;
  }

  get key(): CacheKey {
    return this.slot.key;
  }

  get isCurrent(): boolean {
    return !this.slot.isGone;
  }

  openBody(
    range: { start: number; lengthBytes: number },
    callback: (body: BodySource | null) => void,
  ): void {
    const { start, lengthBytes } = range;
    if (this.onDisk !== null) this.#openFile(this.onDisk, range, callback);
    else callback(new BytesSource((this.bytes ?? NO_BYTES).subarray(start, start + lengthBytes)));
  }
}

const NO_BYTES = new Uint8Array();

/** The head of an entry and its body: either `bytes` or `onDisk` has it. */
export interface EntryContent {
  head: StoredHead;
  bytes: Uint8Array | null;
  onDisk: BodyOnDisk | null;
}

/** A body in a file. */
export interface BodyOnDisk {
  readonly file: DiskFile;
  readonly bodyBytes: number;
  readonly checksums: Uint32Array;
}

/** Memory of a loaded entry beside its fields and its body. */
const HEAD_BYTES = 400;

/** Opens a part of a body that is on disk. */
export type OpenFile = (
  body: BodyOnDisk,
  range: { start: number; lengthBytes: number },
  callback: (body: BodySource | null) => void,
) => void;

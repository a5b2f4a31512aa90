import { BytesSource } from "../../runtime/bodies/body-sources.ts";
import type { CacheKey } from "../../runtime/cache/cache-key.ts";
import { covers } from "../../runtime/cache/entry-index.ts";
import type { CacheStore, EntryWriter, Purge, StoredEntry } from "../../runtime/cache/store.ts";
import type { StoredHead } from "../../runtime/cache/stored-head.ts";
import { varyValues } from "../../runtime/cache/vary-values.ts";

interface Kept {
  entry: StoredEntry;
  id: string;
  variant: string;
}

/** A store for tests of the responder: everything in memory, without limits but one for the size of a body. */
export class MemoryStore implements CacheStore {
  mostBytes = 10 * 1024 * 1024;
  /** Entries have no bytes in memory, as those of the disk. */
  hidesBytes = false;
  /** While set, commits wait. */
  heldCommits: (() => void)[] | null = null;
  #all: Kept[] = [];
  #writers = new Set<{ key: CacheKey; giveUp: () => void }>();

  find(key: CacheKey, fields: string): StoredEntry | null {
    const id = toId(key);
    const found = this.#all.findLast(
      (kept) => kept.id === id && kept.variant === varyValues(kept.entry.head.vary, fields),
    );
    return found?.entry ?? null;
  }

  begin(
    key: CacheKey,
    { fields, bodyBytes }: { fields: string; bodyBytes: number | null },
  ): EntryWriter {
    const pieces: Uint8Array[] = [];
    let isStoring = (bodyBytes ?? 0) <= this.mostBytes;
    let bytes = 0;
    const own = { key, giveUp: () => (isStoring = false) };
    this.#writers.add(own);
    return {
      get isStoring() {
        return isStoring;
      },
      push: (piece) => {
        bytes += piece.length;
        pieces.push(Buffer.from(piece));
        if (bytes > this.mostBytes) isStoring = false;
      },
      commit: (head, callback) => {
        const commit = (): void => {
          this.#writers.delete(own);
          const isWhole = bodyBytes === null || bodyBytes === bytes;
          callback?.(
            isStoring && isWhole ? this.#add(key, fields, head, Buffer.concat(pieces)) : null,
          );
        };
        if (this.heldCommits === null) commit();
        else this.heldCommits.push(commit);
      },
      abort: () => {
        isStoring = false;
        this.#writers.delete(own);
      },
    };
  }

  freshen(entry: StoredEntry, head: StoredHead): StoredEntry | null {
    const kept = this.#all.find((each) => each.entry === entry);
    if (kept === undefined) return null;
    kept.entry = { ...entry, head, isCurrent: true };
    return kept.entry;
  }

  delete(entry: StoredEntry): void {
    this.#all = this.#all.filter((kept) => kept.entry !== entry);
  }

  purge(purge: Purge, onDone?: (count: number) => void): void {
    const before = this.#all.length;
    for (const { key, giveUp } of this.#writers) if (covers(purge, { key, tags: [] })) giveUp();
    this.#all = this.#all.filter(
      ({ entry }) => !covers(purge, { key: entry.key, tags: entry.head.tags }),
    );
    onDone?.(before - this.#all.length);
  }

  stats(): ReturnType<CacheStore["stats"]> {
    throw new Error("not in tests");
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get entries(): readonly StoredEntry[] {
    return this.#all.map(({ entry }) => entry);
  }

  #add(key: CacheKey, fields: string, head: StoredHead, bytes: Buffer): StoredEntry {
    const id = toId(key);
    const variant = varyValues(head.vary, fields);
    this.#all = this.#all.filter((kept) => kept.id !== id || kept.variant !== variant);
    const entry: StoredEntry = {
      isLoaded: true,
      key,
      head: Object.freeze({ ...head, bodyBytes: bytes.length }),
      bytes: this.hidesBytes ? null : bytes,
      isCurrent: true,
      openBody: ({ start, lengthBytes }, callback) =>
        callback(new BytesSource(bytes.subarray(start, start + lengthBytes))),
    };
    this.#all.push({ entry, id, variant });
    return entry;
  }
}

function toId({ page, search, cookies }: CacheKey): string {
  return `${page}\n${search}\n${cookies}`;
}

import type { CacheKey } from "./cache-key.ts";
import { type EntryFolder, type FoundFile, hashKey, shardOf } from "./entry-folder.ts";
import { covers } from "./entry-index.ts";
import type { Purge } from "./store.ts";

/** An entry that an earlier process stored. */
export interface ScannedFile {
  name: string;
  found: FoundFile;
}

export interface ScanOptions {
  /** Called with all files of a folder, or of a key, at once: the newer of two files for one place wins. */
  onFound: (files: readonly ScannedFile[]) => void;
  /** The folder or a file cannot be read. */
  onProblem: (error: unknown) => void;
}

/** Files that are read at the same time. */
const MOST_READING = 4;

/**
 * Reads the entries of earlier processes after a start, in the background. A request need not wait for all of it: the
 * files of one key are looked up at once.
 */
export class FolderScan {
  readonly #folder: EntryFolder;
  readonly #options: ScanOptions;
  /** Folders that are not read yet; `null`: their names are not known yet. */
  #unread: Set<string> | null = null;
  /** Files that a look-up has found before the scan came to them. */
  readonly #known = new Set<string>();
  readonly #purges: { purge: Purge; count: number }[] = [];
  readonly #whenRead: Promise<void>;
  #isRunning = true;

  constructor(folder: EntryFolder, options: ScanOptions) {
    this.#folder = folder;
    this.#options = options;
    this.#whenRead = this.#run();
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Tells whether the folder may have an entry with this key that was not read yet. */
  mayHold(key: CacheKey): boolean {
    if (!this.#isRunning) return false;
    return this.#unread === null || this.#unread.has(shardOf(hashKey(key)));
  }

  /** Reads the files of one key. */
  async lookUp(key: CacheKey): Promise<void> {
    const hash = hashKey(key);
    try {
      const names = await this.#folder.listShard(shardOf(hash));
      await this.#read(names.filter((name) => name.startsWith(hash)));
    } catch (error) {
      this.#options.onProblem(error);
    }
  }

  /**
   * Removes entries that the scan finds from now on. All were stored before the purge: the scan leaves out files of this
   * process.
   *
   * @returns The number of entries, when the scan has ended.
   */
  async purge(purge: Purge): Promise<number> {
    if (!this.#isRunning) return 0;
    const counted = { purge, count: 0 };
    this.#purges.push(counted);
    await this.#whenRead;
    return counted.count;
  }

  /** Ends the scan. The files that are being read are still delivered. */
  async close(): Promise<void> {
    this.#isRunning = false;
    await this.#whenRead;
  }

  async #run(): Promise<void> {
    try {
      this.#unread = new Set(await this.#folder.listShards());
      for (const shard of this.#unread) {
        if (!this.#isRunning) break;
        await this.#read(await this.#folder.listShard(shard));
        this.#unread.delete(shard);
      }
    } catch (error) {
      this.#options.onProblem(error);
    } finally {
      this.#isRunning = false;
      this.#known.clear();
      this.#folder.forgetOwn();
    }
  }

  async #read(names: readonly string[]): Promise<void> {
    const files: ScannedFile[] = [];
    const rest = names.values();
    const readRest = async (): Promise<void> => {
      for (const name of rest) {
        const file = await this.#readFile(name);
        if (file !== null) files.push(file);
      }
    };
    await Promise.all(Array.from({ length: MOST_READING }, readRest));
    await this.#deliver(files);
  }

  async #readFile(name: string): Promise<ScannedFile | null> {
    if (this.#known.has(name)) return null;
    try {
      const found = await this.#folder.read(name, 0);
      if (found !== null) return { name, found };
      // A process was killed while it wrote the file, or another version wrote it.
      await this.#folder.remove(name);
    } catch (error) {
      this.#options.onProblem(error);
    }
    return null;
  }

  async #deliver(files: readonly ScannedFile[]): Promise<void> {
    const removals: Promise<void>[] = [];
    const kept = files.filter(({ name, found }) => {
      if (this.#known.has(name)) return false;
      this.#known.add(name);
      const { key, head } = found.record;
      const hit = this.#purges.find(({ purge }) => covers(purge, { key, tags: head.tags }));
      if (hit === undefined) return true;
      hit.count++;
      removals.push(this.#folder.remove(name).catch(this.#options.onProblem));
      return false;
    });
    if (kept.length > 0) this.#options.onFound(kept);
    await Promise.all(removals);
  }
}

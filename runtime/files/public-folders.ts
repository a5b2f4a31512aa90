import { join } from "node:path";
import type { Prepared } from "../lib/prepared.ts";
import { CompressedFiles } from "./compressed-files.ts";
import { FilePolicy, type FileSettings } from "./file-policy.ts";
import type { FileIndexStats } from "./file-index.ts";
import type { PublicLinks } from "./folder.ts";
import { OpenFileBudget } from "./open-files.ts";
import { PublicFolder, type PublicFolderLog } from "./public-folder.ts";
import { DEFAULT_RESIDENT_BYTES, ResidentBytes } from "./resident-bytes.ts";

/** The public folder of one site. */
export interface PublicFolderSettings extends FileSettings {
  /** Absolute path; `null`: no files are served. */
  publicDir: string | null;
  publicLinks: PublicLinks;
}

/** Folders that are opened at the same time. One more would only make all of them later. */
const AT_A_TIME = 32;

/**
 * The public folders of all sites. Sites with the same folder and the same links share one. All share the memory for
 * small files and the number of open files.
 *
 * Invariant: the folders that serve are exactly those of the settings that were committed last.
 */
export class PublicFolders {
  readonly #log: PublicFolderLog;
  readonly #resident = new ResidentBytes(DEFAULT_RESIDENT_BYTES);
  readonly #openFiles = new OpenFileBudget();
  /** By `keyOf`. */
  #serving: ReadonlyMap<string, PublicFolder> = new Map();
  /** Key of each site, in the order of the sites; `null`: it has no files. */
  #keys: readonly (string | null)[] = [];
  /** Folders that no site uses any more, of which files are still being sent. */
  readonly #old = new Set<PublicFolder>();

  readonly #compressed: CompressedFiles;

  readonly #onChange: (dir: string) => void;

  /**
   * @param options.stateDir Folder of the server's own files. Compressed forms of files are kept there.
   * @param options.onChange Called when the server noticed changes in a public folder, also of files that it does not
   *   serve.
   */
  constructor(
    log: PublicFolderLog,
    { stateDir, onChange }: { stateDir: string; onChange: (dir: string) => void },
  ) {
    this.#log = log;
    this.#onChange = onChange;
    this.#compressed = new CompressedFiles({ dir: join(stateDir, "compressed"), log });
  }

  /** The number of files and their bytes in all folders; `null`: no site has files. */
  get stats(): FileIndexStats | null {
    if (this.#serving.size === 0) return null;
    const all = [...this.#serving.values()].map(({ stats }) => stats);
    return {
      files: all.reduce((sum, { files }) => sum + files, 0),
      folders: all.reduce((sum, { folders }) => sum + folders, 0),
      openFiles: all.reduce((sum, { openFiles }) => sum + openFiles, 0),
      residentBytes: this.#resident.totalBytes,
    };
  }

  /** Returns the folder of a site among the committed ones; `null`: the site has no files. */
  folderOf(settings: PublicFolderSettings): PublicFolder | null {
    const key = keyOf(settings);
    return key === null ? null : (this.#serving.get(key) ?? null);
  }

  /**
   * Walks the folders that do not serve yet. Returns `null` when the same folders serve already.
   *
   * @param sites The settings of each site, the default site first.
   */
  async prepare(sites: readonly PublicFolderSettings[]): Promise<Prepared | null> {
    const keys = sites.map(keyOf);
    const wanted = new Map<string, PublicFolderSettings>();
    for (const [index, key] of keys.entries()) {
      const site = sites[index];
      if (key !== null && site !== undefined) wanted.set(key, site);
    }
    const isSame = wanted.size === this.#serving.size;
    if (isSame && [...wanted.keys()].every((key) => this.#serving.has(key))) return null;
    const opened = await this.#open(wanted);
    return {
      commit: () => this.#commit(keys, wanted, opened),
      discard: async () => {
        await Promise.all([...opened.values()].map((folder) => folder.destroy()));
      },
    };
  }

  /** Ends all transfers of files. */
  async destroy(): Promise<void> {
    const all = [...this.#old, ...this.#serving.values()];
    await Promise.all(all.map((folder) => folder.destroy()));
  }

  async #open(
    wanted: ReadonlyMap<string, PublicFolderSettings>,
  ): Promise<Map<string, PublicFolder>> {
    const opened = new Map<string, PublicFolder>();
    const waiting = [...wanted].filter(([key]) => !this.#serving.has(key)).toReversed();
    const openInTurn = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const [key, settings] = next;
        const { publicDir, publicLinks: links } = settings;
        if (publicDir === null) continue;
        const shared = {
          resident: this.#resident,
          openFiles: this.#openFiles,
          compressed: this.#compressed,
          onChange: () => this.#onChange(publicDir),
        };
        const own = { log: this.#log, links, policy: new FilePolicy(settings) };
        opened.set(key, await PublicFolder.open(publicDir, { ...own, ...shared }));
      }
    };
    await Promise.all(Array.from({ length: AT_A_TIME }, openInTurn));
    return opened;
  }

  #commit(
    keys: readonly (string | null)[],
    wanted: ReadonlyMap<string, PublicFolderSettings>,
    opened: ReadonlyMap<string, PublicFolder>,
  ): void {
    const before = this.#serving;
    const next = new Map<string, PublicFolder>();
    for (const key of wanted.keys()) {
      const folder = opened.get(key) ?? before.get(key);
      if (folder !== undefined) next.set(key, folder);
    }
    this.#serving = next;
    for (const [key, folder] of before) {
      if (next.has(key)) continue;
      const now = keys[this.#keys.indexOf(key)] ?? null;
      this.#old.add(folder);
      void folder
        .retire(now === null ? null : (next.get(now) ?? null))
        .finally(() => this.#old.delete(folder));
    }
    this.#keys = keys;
  }
}

/** Equal for settings with the same effect. */
function keyOf(settings: PublicFolderSettings): string | null {
  const { publicDir, publicLinks, cacheControl, cleanUrls, trailingSlash } = settings;
  const { compression, compressionLevel } = settings;
  if (publicDir === null) return null;
  const pages = [cacheControl, cleanUrls, trailingSlash];
  return JSON.stringify([publicDir, publicLinks, ...pages, compression && compressionLevel]);
}

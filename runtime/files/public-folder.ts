import type { Client } from "../http/client.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import type { Prepared } from "../lib/prepared.ts";
import { FileIndex, type FileIndexStats } from "./file-index.ts";
import type { PublicLinks } from "./folder.ts";
import { serveStatic } from "./serve-files.ts";

/** The settings of the public folder. */
export interface PublicFolderSettings {
  /** Absolute path; `null`: no files are served. */
  publicDir: string | null;
  publicLinks: PublicLinks;
}

export interface PublicFolderLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** The folder whose files the server sends. A reload may put another folder in its place. */
export class PublicFolder {
  readonly #log: PublicFolderLog;
  #settings: PublicFolderSettings = { publicDir: null, publicLinks: "inside" };
  #index: FileIndex | null = null;
  /** Indexes of earlier folders, of which files are still being sent. */
  readonly #old = new Set<FileIndex>();

  constructor(log: PublicFolderLog) {
    this.#log = log;
  }

  /** The paths of all files, decoded. */
  get paths(): readonly string[] {
    return this.#index?.paths ?? [];
  }

  /** The number of files and their bytes; `null`: no folder is served. */
  get stats(): FileIndexStats | null {
    return this.#index?.stats ?? null;
  }

  /** Walks the folder of these settings. Returns `null` when that folder is served already. */
  async prepare({ publicDir, publicLinks }: PublicFolderSettings): Promise<Prepared | null> {
    const { publicDir: dir, publicLinks: links } = this.#settings;
    if (publicDir === dir && (publicLinks === links || publicDir === null)) return null;
    const options = { log: this.#log, links: publicLinks };
    const index = publicDir === null ? null : await FileIndex.open(publicDir, options);
    return {
      commit: () => {
        this.#settings = { publicDir, publicLinks };
        this.#replaceWith(index);
      },
      discard: async () => {
        await index?.destroy();
      },
    };
  }

  /** Answers from the folder. Returns false when no file there answers this request. */
  answer(client: Client, { path, search }: ParsedTarget): boolean {
    if (this.#index === null || path === null) return false;
    return serveStatic(client, { path, search }, this.#serving, this.#onError);
  }

  /** Ends all transfers of files. */
  async destroy(): Promise<void> {
    const all = this.#index === null ? [...this.#old] : [...this.#old, this.#index];
    await Promise.all(all.map((index) => index.destroy()));
  }

  readonly #serving = (): FileIndex | null => this.#index;

  readonly #onError = (error: unknown): void => {
    this.#log.error({ err: error }, "cannot send a static file");
  };

  #replaceWith(index: FileIndex | null): void {
    const old = this.#index;
    this.#index = index;
    if (old === null) return;
    this.#old.add(old);
    void old.close().finally(() => this.#old.delete(old));
  }
}

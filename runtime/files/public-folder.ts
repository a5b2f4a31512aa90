import type { Client } from "../http/client.ts";
import type { ParsedTarget } from "../http/target-path.ts";
import { FileIndex, type FileIndexOptions, type FileIndexStats } from "./file-index.ts";
import type { ListedName } from "./listing.ts";
import type { FoundFile } from "../http/file-sender.ts";
import { offerStatic, serveStatic, type StaticTarget } from "./serve-files.ts";

export interface PublicFolderLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** A file that the server chooses as an answer. */
export interface NamedPage {
  path: string;
  use: "page" | "not-found";
}

export interface PublicFolderOptions extends FileIndexOptions {
  log: PublicFolderLog;
}

/**
 * A folder whose files the server sends. Several sites may share it.
 *
 *     serving ──no site uses it any more──▶ retired: finishes its transfers ──▶ closed
 */
export class PublicFolder {
  readonly #index: FileIndex;
  readonly #log: PublicFolderLog;
  /** Absolute path. */
  readonly dir: string;
  /** The folder that has its place since it is retired; `null`: it serves, or nothing has its place. */
  #successor: PublicFolder | null = null;
  #isRetired = false;

  private constructor(index: FileIndex, { dir, log }: { dir: string; log: PublicFolderLog }) {
    this.#index = index;
    this.dir = dir;
    this.#log = log;
  }

  /** Walks the folder, and watches it until it is retired. No content of the folder makes it fail. */
  static async open(dir: string, options: PublicFolderOptions): Promise<PublicFolder> {
    const index = await FileIndex.open(dir, options);
    return new PublicFolder(index, { dir, log: options.log });
  }

  /** The paths of all files, decoded. */
  get paths(): readonly string[] {
    return this.#index.paths;
  }

  get stats(): FileIndexStats {
    return this.#index.stats;
  }

  /** Answers from the folder. Returns false when no file there answers this request. */
  answer(client: Client, { path, search }: ParsedTarget): boolean {
    if (path === null) return false;
    return serveStatic(client, { path, search, use: "file" }, this.#serving, this.#onError);
  }

  /**
   * Finds the file of a request for middleware. Returns false when no file there answers this request.
   *
   * @param onFound Called at once, or when the tag of the file was read. It must answer the request.
   */
  offer(client: Client, target: StaticTarget, onFound: (found: FoundFile) => void): boolean {
    return offerStatic(client, target, this.#serving, { onFound, onError: this.#onError });
  }

  /**
   * Answers with a page that the client did not name, such as the one page of an application.
   *
   * @param page.path Decoded path of its file.
   * @param page.use `not-found`: with status 404.
   */
  answerWith(client: Client, { path, use }: NamedPage): boolean {
    return serveStatic(client, { path, search: "", use }, this.#serving, this.#onError);
  }

  /** Returns whether a file has the path. */
  hasFile(path: string): boolean {
    return this.#serving()?.lookup(path, Date.now()) !== undefined;
  }

  /** Returns the names in a folder; `null`: no folder has the path. */
  list(path: string): ListedName[] | null {
    return this.#serving()?.list(path) ?? null;
  }

  /**
   * Stops watching. Resolves when the last file is sent.
   *
   * @param successor Where requests look that were about to open a file.
   */
  retire(successor: PublicFolder | null): Promise<void> {
    this.#isRetired = true;
    this.#successor = successor;
    return this.#index.close();
  }

  /** Ends all transfers of files. */
  destroy(): Promise<void> {
    return this.#index.destroy();
  }

  readonly #serving = (): FileIndex | null =>
    this.#isRetired ? (this.#successor?.serving ?? null) : this.#index;

  /** The index that serves in the place of this folder; `null`: none. */
  get serving(): FileIndex | null {
    return this.#serving();
  }

  readonly #onError = (error: unknown): void => {
    this.#log.error({ err: error }, "cannot send a static file");
  };
}

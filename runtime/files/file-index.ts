import { statSync } from "node:fs";
import { resolve } from "node:path";
import { webcrypto } from "node:crypto";

import { type CompressionLevel, FILE_CODINGS } from "../compress/encoders.ts";
import { RuntimeError } from "../lib/errors.ts";
import type { CompressedFiles } from "./compressed-files.ts";
import { toMemoryBody, type FileBody } from "./file-body.ts";
import { DEFAULT_POLICY, type FilePolicy } from "./file-policy.ts";
import { FileTree } from "./file-tree.ts";
import {
  findRootLinks,
  lookAt,
  type PublicLinks,
  readLink,
  resolveLink,
  type RootLink,
} from "./folder.ts";
import type { ListedName } from "./listing.ts";
import { OpenFileBudget, OpenFiles } from "./open-files.ts";
import { DEFAULT_RESIDENT_BYTES, ResidentBytes } from "./resident-bytes.ts";
import type { StaticEntry, StaticFile } from "./static-file.ts";

const { subtle } = webcrypto;

export interface FileIndexOptions {
  log: { warn(fields: object, message: string): void };
  /** The symbolic links that are followed. Default: links that stay in the folder. */
  links?: PublicLinks;
  /** Memory for the content of small files, which several indexes may share. Default: its own. */
  resident?: ResidentBytes;
  /** The settings for paths and caches. Default: as without any setting. */
  policy?: FilePolicy;
  /**
   * Files up to this size are served from memory. From memory, 1 MiB went out 3 times as fast as from disk, where it
   * was as fast as Nginx's sendfile. At 10 MiB the factor was less than 2.
   */
  residentFileBytes?: number;
  /** Bounds the files that are open at a time. Several indexes may share it. Default: its own. */
  openFiles?: OpenFileBudget;
  maxFiles?: number;
  /** Makes compressed forms of files without a sibling. Default: none are made. */
  compressed?: CompressedFiles;
  /** Called when changes on disk have reached the index. */
  onChange?: () => void;
}

export interface FileIndexStats {
  files: number;
  folders: number;
  openFiles: number;
  residentBytes: number;
}

/**
 * Finds the file of a path in the public folder, and opens it.
 *
 * A missing folder counts as empty. Once it appears, its files are served within a second. When another folder or
 * another target of a symbolic link replaces the root, the index walks the new tree beside the old one and then
 * switches in one step.
 */
export class FileIndex {
  readonly #root: string;
  readonly #options: FileIndexOptions;
  readonly #resident: ResidentBytes;
  readonly #residentFileBytes: number;
  readonly #open: OpenFiles;
  readonly #timer: NodeJS.Timeout;
  #tree: FileTree | null = null;
  #next: FileTree | null = null;
  #entries: ReadonlyMap<string, StaticEntry> = NO_ENTRIES;
  /** Symbolic links on the way to the root. */
  #links: readonly RootLink[] = NO_LINKS;
  /** Checks of the root until the next one that resolves its path. Servers with many folders spread these. */
  #untilResolved = Math.floor(Math.random() * RESOLVE_EVERY);
  /** The links were read in this turn of the event loop. */
  #areLinksRead = false;
  #closing: Promise<void> | null = null;

  /** Walks the folder, and watches it until {@link close}. No content of the folder makes it fail. */
  static async open(root: string, options: FileIndexOptions): Promise<FileIndex> {
    const index = new FileIndex(resolve(root), options);
    await index.#followRoot();
    return index;
  }

  private constructor(root: string, options: FileIndexOptions) {
    this.#root = root;
    this.#options = options;
    this.#resident = options.resident ?? new ResidentBytes(DEFAULT_RESIDENT_BYTES);
    this.#residentFileBytes = options.residentFileBytes ?? MEBIBYTE;
    this.#open = new OpenFiles(options.openFiles ?? new OpenFileBudget());
    this.#timer = setInterval(() => void this.#followRoot(), CHECK_EVERY_MS);
    this.#timer.unref();
  }

  /** Paths of all files, decoded. A page has one more for each other path under which it answers. */
  get paths(): readonly string[] {
    return [...this.#entries].flatMap(([path, { kind }]) => (kind === "file" ? [path] : []));
  }

  get stats(): FileIndexStats {
    return {
      files: this.#tree?.fileCount ?? 0,
      folders: this.#tree?.folderCount ?? 0,
      openFiles: this.#open.count,
      residentBytes: this.#resident.totalBytes,
    };
  }

  /**
   * Returns the entry of a path; `undefined` when no file or redirect is there.
   *
   * A miss costs one look into a map and never touches the disk. A hit on a file that was not checked within the last
   * second checks the file on disk first. Answers are therefore at most a second stale. A root that is reached by a
   * symbolic link is never stale: the link is read once in each turn of the event loop with a look-up, in a
   * microsecond, and may lead elsewhere with the next request.
   *
   * @param path Decoded, without dot segments. Any string is safe: only names found in the folder are keys.
   * @param nowMs Wall clock. The time at which the turn of the event loop began is exact enough.
   */
  lookup(path: string, nowMs: number): StaticEntry | undefined {
    if (this.#links.length > 0) this.#followLinks();
    if (this.#tree?.isWalked === false) this.#tree.lookAhead(path);
    const entry = this.#entries.get(path);
    if (entry === undefined || entry.kind === "redirect") return entry;
    const ageMs = nowMs - entry.checkedAtMs;
    // Negative: the clock was set back.
    if (ageMs < CHECK_EVERY_MS && ageMs >= 0) return entry;
    this.#tree?.check(entry);
    const current = this.#entries.get(path);
    if (current?.kind === "file") current.checkedAtMs = nowMs;
    return current;
  }

  /** Returns the names in a folder; `null`: no folder has the path. */
  list(path: string): ListedName[] | null {
    if (this.#links.length > 0) this.#followLinks();
    return this.#tree?.list(path) ?? null;
  }

  /**
   * Opens the bytes of an answer whose body is of kind "file".
   *
   * @returns `null` if the file is no longer the version that was looked up. The caller then looks up once more: the
   *   file may have another version, or be gone.
   * @throws {RuntimeError} `ERR_OVERLOADED` when too many files are open.
   */
  async openBody(file: StaticFile, start: number, lengthBytes: number): Promise<FileBody | null> {
    const body =
      file.sizeBytes <= this.#residentFileBytes
        ? await this.#loadBody(file, start, lengthBytes)
        : await this.#open.openBody(file, start, lengthBytes);
    if (body === null) this.#onUnreadable(file);
    return body;
  }

  /**
   * Computes the entity tag of a file from its content. Await this before the answer with a file that
   * `needsContentTag`.
   *
   * @returns `false` if the file is no longer the version that was looked up. The caller then looks up once more.
   * @throws {RuntimeError} `ERR_OVERLOADED` when too many files are open.
   */
  async readTag(file: StaticFile): Promise<boolean> {
    const hash =
      file.sizeBytes <= Math.min(this.#residentFileBytes, TAG_PIECE_BYTES)
        ? await this.#digestWhole(file)
        : await this.#digestPieces(file);
    if (hash === null) {
      this.#onUnreadable(file);
      return false;
    }
    file.contentTag = Buffer.from(hash.subarray(0, TAG_BYTES)).toString("hex");
    return true;
  }

  /** Makes compressed forms of a file, unless that was begun already. Later requests get them. */
  compress(file: StaticFile): void {
    const { compressed } = this.#options;
    const level = file.compressionLevel;
    if (!file.isUncompressed || compressed?.isFull === true) return;
    file.isUncompressed = false;
    if (compressed === undefined || level === null || this.#closing !== null) return;
    const task = (): Promise<void> => this.#compress(file, { compressed, level });
    compressed.inTurn(task).catch((error: unknown) => {
      // All files are open. A later request tries again.
      if (error instanceof RuntimeError && !file.isRetired) file.isUncompressed = true;
      else this.#options.log.warn({ err: error, file: file.path }, "cannot compress a file");
    });
  }

  async #compress(
    file: StaticFile,
    { compressed, level }: { compressed: CompressedFiles; level: CompressionLevel },
  ): Promise<void> {
    // The file may have changed, or the folder may be gone, since the turn was asked for.
    if (file.isRetired || this.#closing !== null) return;
    const isSmall = file.sizeBytes <= this.#residentFileBytes;
    const bytes = isSmall ? await this.#loadWhole(file) : await this.#open.load(file);
    if (bytes === null) return;
    const key = Buffer.from((await digest(bytes)).subarray(0, KEY_BYTES)).toString("hex");
    const made: StaticFile[] = [];
    for (const coding of FILE_CODINGS) {
      const source = await compressed.find({ bytes, key, coding, level });
      if (source !== null) made.push(file.toMade(source, coding));
    }
    // The file may have changed meanwhile.
    if (made.length > 0 && !file.isRetired) this.#tree?.adopt(file, made);
  }

  /** Stops watching. Resolves when the last open body is closed. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes all files, too. Later reads of open bodies fail. */
  destroy(): Promise<void> {
    const closed = this.close();
    this.#open.destroy();
    return closed;
  }

  async #close(): Promise<void> {
    clearInterval(this.#timer);
    this.#useTree(null);
    this.#next?.close();
    await this.#open.close();
  }

  async #loadBody(file: StaticFile, start: number, lengthBytes: number): Promise<FileBody | null> {
    const bytes = await this.#loadWhole(file);
    return bytes === null ? null : toMemoryBody(bytes.subarray(start, start + lengthBytes));
  }

  async #loadWhole(file: StaticFile): Promise<Buffer | null> {
    const bytes = file.bytes ?? (await this.#open.load(file));
    if (bytes !== null) this.#resident.admit(file, bytes);
    return bytes;
  }

  async #digestWhole(file: StaticFile): Promise<Uint8Array | null> {
    const bytes = await this.#loadWhole(file);
    return bytes === null ? null : await digest(bytes);
  }

  /** The digest of the digests of all pieces: no piece stays in memory. */
  async #digestPieces(file: StaticFile): Promise<Uint8Array | null> {
    const digests = await this.#open.digestPieces(file, toTagPieces(file.sizeBytes), digest);
    return digests === null ? null : await digest(Buffer.concat(digests));
  }

  #onUnreadable(file: StaticFile): void {
    this.#tree?.check(file);
    // The whole root may have moved.
    this.#untilResolved = 0;
    // The file has not changed, so it cannot be read for another reason, most likely its permissions.
    if (file.isRetired || this.#closing !== null) return;
    this.#tree?.exclude(file);
    this.#options.log.warn({ file: file.source.realPath }, "Cannot read a static file: not served");
  }

  /** Runs once a second. Checks that the root is still the same folder, and looks for unreported changes in it. */
  async #followRoot(): Promise<void> {
    if (this.#next !== null) return;
    const tree = this.#tree;
    if (tree !== null && this.#untilResolved-- > 0 && this.#isInPlace(tree)) {
      tree.sweep();
      return;
    }
    this.#untilResolved = RESOLVE_EVERY;
    const root = findRoot(this.#root);
    if (root === null) {
      this.#useTree(null);
    } else if (tree?.realPath === root.realPath && tree.inode === root.inode) {
      tree.sweep();
    } else {
      const next = this.#toTree(root);
      this.#next = next;
      await next.settled();
      // A request may have found yet another root meanwhile.
      if (this.#next !== next) return;
      this.#next = null;
      if (this.#closing === null) this.#useTree(next);
    }
  }

  /**
   * Tells whether the folder of a tree is still the root. Reads the links and looks at the folder: with 1,000 sites, a
   * check that resolved the path took three times as long, 5 % of a processor. It does not see that a folder above the
   * root was moved and that a new link leads there. The same files are there, and a file that must be opened reveals it.
   */
  #isInPlace({ realPath, inode }: FileTree): boolean {
    if (!this.#links.every(({ path, target }) => readLink(path) === target)) return false;
    const stats = lookAt(realPath);
    return stats?.isDirectory() === true && stats.ino === inode;
  }

  /** Uses the tree to which the links lead now. It serves while it is walked. */
  #followLinks(): void {
    if (this.#areLinksRead) return;
    this.#areLinksRead = true;
    setImmediate(this.#endTurn);
    if (this.#links.every(({ path, target }) => readLink(path) === target)) return;
    const root = findRoot(this.#root);
    // A link may be removed before it is made anew. The check of each second finds out if it stays away.
    if (root === null || this.#closing !== null) return;
    this.#next?.close();
    this.#next = null;
    this.#links = findRootLinks(this.#root);
    const tree = this.#tree;
    if (tree?.realPath === root.realPath && tree.inode === root.inode) return;
    const next = this.#toTree(root);
    this.#useTree(next);
    void next.settled();
  }

  readonly #endTurn = (): void => {
    this.#areLinksRead = false;
  };

  #toTree(root: { realPath: string; inode: number }): FileTree {
    const { log, onChange, maxFiles = 200_000, links = "inside" } = this.#options;
    return new FileTree(root, {
      log,
      links,
      policy: this.#options.policy ?? DEFAULT_POLICY,
      maxFiles,
      onRetired: (file) => this.#resident.drop(file),
      onSettled: () => onChange?.(),
    });
  }

  #useTree(tree: FileTree | null): void {
    const before = this.#tree;
    if (tree === before) return;
    this.#tree = tree;
    this.#entries = tree?.entries ?? NO_ENTRIES;
    this.#links = tree === null ? NO_LINKS : findRootLinks(this.#root);
    before?.close();
    this.#options.onChange?.();
  }
}

const MEBIBYTE = 1024 * 1024;

/** Bytes of a file that are read and hashed at once for its tag. */
const TAG_PIECE_BYTES = MEBIBYTE;

/**
 * Most pieces of a file that go into its tag. The first client of a version waits for the tag, about a second for 256
 * MiB. The tag of a larger file covers this many pieces, the first and the last among them.
 */
const MOST_TAG_PIECES = 256;

/** 64 bits of a hash: two versions of a file get the same tag by accident once in 10^19. */
const TAG_BYTES = 8;
/** Bytes of a hash that name a content. Half of SHA-256: two contents never share it. */
const KEY_BYTES = 16;
const CHECK_EVERY_MS = 1000;
/** Every tenth check of the root resolves its path. */
const RESOLVE_EVERY = 10;
const NO_LINKS: readonly RootLink[] = Object.freeze([]);
const NO_ENTRIES: ReadonlyMap<string, StaticEntry> = new Map();

/** A thread computes the hash, not the event loop. */
async function digest(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await subtle.digest("SHA-256", bytes));
}

/** Returns the pieces of a file that go into its tag. */
export function toTagPieces(sizeBytes: number): { start: number; lengthBytes: number }[] {
  const all = Math.ceil(sizeBytes / TAG_PIECE_BYTES);
  const count = Math.min(all, MOST_TAG_PIECES);
  return Array.from({ length: count }, (_, index) => {
    const number = count === all ? index : Math.floor((index * (all - 1)) / (count - 1));
    const start = number * TAG_PIECE_BYTES;
    return { start, lengthBytes: Math.min(TAG_PIECE_BYTES, sizeBytes - start) };
  });
}

function findRoot(path: string): { realPath: string; inode: number } | null {
  const realPath = resolveLink(path);
  const stats = realPath === null ? undefined : statSync(realPath, { throwIfNoEntry: false });
  if (realPath === null || stats?.isDirectory() !== true) return null;
  return { realPath, inode: stats.ino };
}

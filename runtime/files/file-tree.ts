import { watch } from "node:fs";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";

import { CODED_SIBLINGS } from "../http/content-coding.ts";
import { EntryTable } from "./entry-table.ts";
import type { FilePolicy } from "./file-policy.ts";
import {
  findChild,
  isIntact,
  isLinked,
  isVersionName,
  listNames,
  lookAt,
  resolveLink,
  toFolder,
  type Child,
  type File,
  type Folder,
  type PublicLinks,
} from "./folder.ts";
import { IGNORE_FILE, IgnoredFiles } from "./ignored-files.ts";
import type { ListedName } from "./listing.ts";
import { toFileVersion, type StaticEntry, type StaticFile } from "./static-file.ts";

export interface FileTreeOptions {
  maxFiles: number;
  links: PublicLinks;
  policy: FilePolicy;
  log: { warn(fields: object, message: string): void };
  /** Called when the file is no longer the entry of a path. */
  onRetired(file: StaticFile): void;
  /** Called when all noticed changes on disk are in the entries. */
  onSettled(): void;
}

/**
 * Keeps all servable files below one real folder up to date, in three ways. Each way covers the gaps of the previous
 * one: watching folders (at once), {@link check} of a requested file (its content), {@link sweep} (changes that the
 * kernel did not report because it had too few watches or a full queue).
 *
 * It watches folders and not files, because the kernel reports a file's changes with its folder. For 100,000 files in
 * 1,000 folders chokidar 5.0.0, which watches each file, took 7.7 s and 690 MB. This class with its entries took 1.3 s
 * and 110 MB.
 *
 * All disk access is synchronous, takes a few microseconds each, and is done in slices: asynchronous calls cost ten
 * times as much. The folder therefore belongs on a local disk.
 */
export class FileTree {
  readonly #options: FileTreeOptions;
  readonly #root: Folder;
  readonly #table: EntryTable;
  readonly #ignored: IgnoredFiles;
  readonly #folders = new Set<Folder>();
  readonly #unread = new Map<Folder, Depth>();
  readonly #unseen = new Map<Folder, Set<string>>();
  #sweeping: Iterator<Folder, undefined> | null = null;
  #working: Promise<void> | null = null;
  #fileCount = 0;
  #isWalked = false;
  #isFullReported = false;
  #isUnwatchedReported = false;
  /** Links whose target is missing, by path. The target may appear later, in a folder that is not watched. */
  readonly #dangling = new Map<string, { folder: Folder; name: string; sinceMs: number }>();
  /** Paths of links and of coded files that the log has named. */
  readonly #reported = new Set<string>();

  /** @param root Canonical path of a folder, and its inode. Reads nothing before {@link settled} is called. */
  constructor(root: { realPath: string; inode: number }, options: FileTreeOptions) {
    this.#options = options;
    this.#table = new EntryTable(options.policy, (file) => options.onRetired(file));
    this.#ignored = new IgnoredFiles(root.realPath, { log: options.log });
    this.#root = toFolder({ ...root, path: "/", name: "", parent: null });
    this.#folders.add(this.#root);
    this.#unread.set(this.#root, "deep");
  }

  get entries(): ReadonlyMap<string, StaticEntry> {
    return this.#table.byPath;
  }

  get realPath(): string {
    return this.#root.realPath;
  }

  get inode(): number {
    return this.#root.inode;
  }

  get fileCount(): number {
    return this.#fileCount;
  }

  get folderCount(): number {
    return this.#folders.size;
  }

  /**
   * Returns the names in a folder; `null`: no folder has the path.
   *
   * @param path Decoded, with or without a slash at the end.
   */
  list(path: string): ListedName[] | null {
    if (!this.#isWalked) this.lookAhead(path, { isListed: true });
    let folder = this.#root;
    for (const name of path.split("/")) {
      if (name === "") continue;
      const child = folder.children.get(name);
      if (child?.isFolder !== true) return null;
      folder = child;
    }
    return [...folder.children].map(([name, child]) =>
      child.isFolder
        ? { name, isFolder: true, sizeBytes: null, modifiedMs: child.readAtMs || null }
        : {
            name,
            isFolder: false,
            sizeBytes: child.version.sizeBytes,
            modifiedMs: child.version.modifiedMs,
          },
    );
  }

  /** False until all folders were read once. */
  get isWalked(): boolean {
    return this.#isWalked;
  }

  /**
   * Looks at all files on which the entry of a path depends. For a tree that serves before it is walked: a request must
   * not wait for a thousand other folders.
   *
   * @param path Decoded. Any string is safe, as for `findChild`.
   */
  lookAhead(path: string, { isListed = false }: { isListed?: boolean } = {}): void {
    let folder = this.#root;
    const names = path.split("/").filter((name) => name !== "");
    for (const [index, name] of names.entries()) {
      if (index === names.length - 1) {
        this.#lookAtFile(folder, name);
        this.#lookAtFile(folder, `${name}.html`);
      }
      const child = this.#lookOnce(folder, name);
      if (child?.isFolder !== true) return;
      folder = child;
    }
    this.#lookAtFile(folder, "index.html");
    if (!isListed) return;
    for (const name of listNames(folder.realPath)) this.#lookOnce(folder, name);
  }

  #lookAtFile(folder: Folder, name: string): void {
    for (const { suffix } of CODED_SIBLINGS) this.#lookOnce(folder, name + suffix);
    this.#lookOnce(folder, name);
  }

  #lookOnce(folder: Folder, name: string): Folder | File | undefined {
    if (!folder.children.has(name) && !UNSAFE_NAME.test(name)) this.#look(folder, name);
    return folder.children.get(name);
  }

  /** Resolves when all changes that were noticed so far are in the entries. */
  settled(): Promise<void> {
    return this.#work();
  }

  /** Checks a file on disk. If it differs from the indexed version, updates the entry of its path. */
  check(file: StaticFile): void {
    if (this.#table.isTrue(file, this.#root.realPath)) return;
    const origin = this.#table.originOf(file);
    if (origin === undefined || !this.#folders.has(origin.folder)) return;
    const { folder, name } = origin;
    if (isIntact(folder)) {
      this.#look(folder, name);
      for (const { suffix } of CODED_SIBLINGS) {
        if (folder.children.has(name + suffix)) this.#look(folder, name + suffix);
      }
    } else {
      this.#withdraw(folder);
      // At once, so that the look-up of this request finds the present version.
      this.#workNow();
    }
    void this.#work();
  }

  /** Gives a file variants that the server made. */
  adopt(file: StaticFile, made: readonly StaticFile[]): void {
    this.#table.adopt(file, made);
  }

  /** Removes the entry of a file that exists and cannot be read, until something about the file changes. */
  exclude(file: StaticFile): void {
    const origin = this.#table.originOf(file);
    if (origin !== undefined && !file.isRetired) this.#remove(origin.folder, origin.name);
  }

  /** Checks the next few folders for unreported changes. The owner calls this regularly. */
  sweep(): void {
    this.#sweeping ??= this.#folders.values();
    for (let count = 0; count < FOLDERS_PER_SWEEP; count++) {
      const next = this.#sweeping.next();
      if (next.done === true) {
        this.#sweeping = null;
        break;
      }
      const folder = next.value;
      const stats = lookAt(folder.realPath);
      if (stats?.ino !== folder.inode || this.#leadsElsewhere(folder)) {
        if (folder.parent !== null) this.#lookLater(folder.parent, folder.name);
      } else if (stats.mtimeMs !== folder.readAtMs) {
        this.#readLater(folder, "shallow");
      }
    }
    if (this.#ignored.hasSome) this.#refreshIgnored();
    this.#reportLeftBehind();
    this.#followDangling();
    void this.#work();
  }

  /** Tells whether the symbolic link to a folder leads elsewhere by now. The kernel reports that for neither folder. */
  #leadsElsewhere({ parent, name, realPath }: Folder): boolean {
    if (parent === null || realPath === join(parent.realPath, name)) return false;
    return resolveLink(join(parent.realPath, name)) !== realPath;
  }

  /** Stops watching and retires every file. */
  close(): void {
    for (const folder of this.#folders) folder.watcher?.close();
    this.#folders.clear();
    this.#unread.clear();
    this.#unseen.clear();
    this.#dangling.clear();
    this.#table.clear();
  }

  #readLater(folder: Folder, depth: Depth): void {
    if (this.#unread.get(folder) !== "deep") this.#unread.set(folder, depth);
  }

  #lookLater(folder: Folder, name: string): void {
    const names = this.#unseen.get(folder);
    if (names === undefined) this.#unseen.set(folder, new Set([name]));
    else names.add(name);
  }

  #noticeLater(folder: Folder, name: string): void {
    this.#lookLater(folder, name);
    if (!isVersionName(name)) return;
    for (const [linked, child] of folder.children) {
      if (isLinked(folder, linked, child)) this.#lookLater(folder, linked);
    }
  }

  #work(): Promise<void> {
    if (this.#unread.size > 0 || this.#unseen.size > 0) {
      this.#working ??= this.#workInSlices().finally(() => {
        this.#working = null;
        void this.#work(); // For changes that came up in `onSettled`.
      });
    }
    return this.#working ?? Promise.resolve();
  }

  async #workInSlices(): Promise<void> {
    // Later: the other events of the same change arrive in this turn of the event loop.
    await nextTurn();
    let sliceEndMs = performance.now() + SLICE_MS;
    const steps = this.#steps();
    while (steps.next().done !== true) {
      if (performance.now() < sliceEndMs) continue;
      await nextTurn();
      sliceEndMs = performance.now() + SLICE_MS;
    }
    this.#isWalked = true;
    this.#options.onSettled();
  }

  /** Does one slice of the work at most, in this turn of the event loop. */
  #workNow(): void {
    const sliceEndMs = performance.now() + SLICE_MS;
    const steps = this.#steps();
    while (steps.next().done !== true && performance.now() < sliceEndMs);
  }

  *#steps(): Generator<undefined, void> {
    // Before the names: new files may have come with a new file of patterns.
    this.#refreshIgnored();
    while (this.#unread.size > 0 || this.#unseen.size > 0) {
      for (const [folder, depth] of this.#unread) {
        this.#unread.delete(folder);
        if (this.#folders.has(folder)) this.#read(folder, depth);
        yield;
      }
      for (const [folder, names] of this.#unseen) {
        this.#unseen.delete(folder);
        if (this.#folders.has(folder) && !isIntact(folder)) this.#withdraw(folder);
        for (const name of names) {
          // Between two steps the folder may disappear, or the tree may be closed.
          if (!this.#folders.has(folder)) break;
          this.#look(folder, name);
          yield;
        }
      }
    }
  }

  /**
   * Deep: looks at every name in the folder, since it may be another folder at the same path. Shallow: looks at the
   * names that were added or removed.
   */
  #read(folder: Folder, depth: Depth): void {
    this.#watch(folder); // Before reading, so that nothing comes to be between the two.
    const stats = lookAt(folder.realPath);
    const names = new Set(listNames(folder.realPath));
    folder.inode = stats?.ino ?? 0;
    // A folder can change again within the resolution of its time, so a sweep reads a recently changed folder again.
    const isYoung = stats === undefined || Date.now() - stats.mtimeMs < YOUNG_MS;
    folder.readAtMs = isYoung ? Number.NaN : stats.mtimeMs;
    for (const name of folder.children.keys()) {
      if (depth === "deep" || !names.has(name)) this.#lookLater(folder, name);
    }
    for (const name of names) {
      if (!folder.children.has(name)) this.#lookLater(folder, name);
    }
  }

  #watch(folder: Folder): void {
    folder.watcher?.close();
    folder.watcher = null;
    try {
      const watcher = watch(folder.realPath, { persistent: false });
      folder.watcher = watcher;
      watcher.on("change", (_event, name) => {
        if (folder.watcher !== watcher || !this.#folders.has(folder)) return;
        if (typeof name === "string") this.#noticeLater(folder, name);
        else this.#readLater(folder, "shallow");
        void this.#work();
      });
      // The folder is gone, or is being removed (Windows). A sweep finds out.
      watcher.on("error", () => watcher.close());
    } catch (error) {
      if (lookAt(folder.realPath) !== undefined) this.#reportUnwatched(error);
    }
  }

  /** Updates one name in a folder that is intact. */
  #look(folder: Folder, name: string): void {
    if (folder === this.#root && name === IGNORE_FILE) this.#refreshIgnored();
    const { links } = this.#options;
    const rootPath = this.#root.realPath;
    const found = findChild(folder, name, { rootPath, links, ignored: this.#ignored });
    const current = folder.children.get(name);
    this.#noteDangling(folder, name, found);
    if (found.kind !== "found") {
      this.#remove(folder, name);
      if (found.kind === "refused") this.#reportLink(folder.path + name, found);
    } else if (found.stats.isFile()) {
      if (current === undefined && this.#isFull()) return;
      // If the name was a folder, all entries below it go too. A file is replaced.
      if (current?.isFolder === true) this.#remove(folder, name);
      if (current?.isFolder !== false) this.#fileCount++;
      const version = toFileVersion(found.stats);
      folder.children.set(name, { isFolder: false, realPath: found.realPath, version });
      this.#table.publish(folder, name);
    } else if (current?.isFolder === true && current.realPath === found.realPath) {
      this.#readLater(current, "deep");
    } else {
      this.#remove(folder, name);
      const path = `${folder.path}${name}/`;
      const inode = found.stats.ino;
      this.#add(toFolder({ path, name, realPath: found.realPath, inode, parent: folder }));
    }
  }

  /** Looks at all names again if other files are ignored by now. */
  #refreshIgnored(): void {
    if (!this.#ignored.refresh()) return;
    for (const folder of this.#folders) this.#readLater(folder, "deep");
  }

  #add(folder: Folder): void {
    folder.parent?.children.set(folder.name, folder);
    this.#folders.add(folder);
    this.#readLater(folder, "deep");
  }

  #remove(folder: Folder, name: string): void {
    const child = folder.children.get(name);
    if (child?.isFolder === true) {
      for (const inner of child.children.keys()) this.#remove(child, inner);
      child.watcher?.close();
      this.#folders.delete(child);
    } else if (child !== undefined) {
      this.#fileCount--;
    }
    if (folder.children.delete(name)) this.#table.publish(folder, name);
  }

  /** Drops a folder that is no longer at its path, and has the path looked at again. */
  #withdraw(folder: Folder): void {
    if (folder.parent === null) {
      for (const name of folder.children.keys()) this.#remove(folder, name);
    } else {
      this.#remove(folder.parent, folder.name);
      this.#lookLater(folder.parent, folder.name);
    }
  }

  #isFull(): boolean {
    const { maxFiles, log } = this.#options;
    if (this.#fileCount < maxFiles) return false;
    if (!this.#isFullReported) {
      this.#isFullReported = true;
      log.warn(
        { folder: this.#root.realPath, maxFiles },
        `Cannot serve all static files: found more than ${maxFiles}, the others are not served`,
      );
    }
    return true;
  }

  #reportLink(path: string, { target, why }: Extract<Child, { kind: "refused" }>): void {
    const { log } = this.#options;
    if (!this.#isNews(`${path} ${target}`)) return;
    const link = join(this.#root.realPath, path);
    const where =
      why === "outside" ? `outside of ${this.#root.realPath}` : "a hidden file or folder";
    log.warn(
      { link, target, setting: "publicLinks" },
      `Cannot serve ${link}: found a symbolic link to ${target}, ${where}, expected one that stays inside ` +
        '(copy the file there, or set publicLinks to "follow" to serve the targets of all links); until then it is answered 404',
    );
  }

  #noteDangling(folder: Folder, name: string, { kind }: Child): void {
    const path = folder.path + name;
    if (kind !== "dangling") this.#dangling.delete(path);
    else if (!this.#dangling.has(path) && this.#dangling.size < MOST_DANGLING) {
      this.#dangling.set(path, { folder, name, sinceMs: Date.now() });
    }
  }

  #followDangling(): void {
    const { log } = this.#options;
    for (const [path, { folder, name, sinceMs }] of this.#dangling) {
      if (!this.#folders.has(folder)) {
        this.#dangling.delete(path);
        continue;
      }
      this.#lookLater(folder, name);
      // A copy may create the link before its target.
      if (Date.now() - sinceMs < YOUNG_MS || !this.#isNews(`dangling ${path}`)) continue;
      const link = join(this.#root.realPath, path);
      log.warn(
        { link },
        `Cannot serve ${link}: found a symbolic link that leads nowhere, expected its target`,
      );
    }
  }

  /** Logs each stale coded file once, some time after its file was edited: a build writes the two one after another. */
  #reportLeftBehind(): void {
    const { log } = this.#options;
    for (const [path, editedMs] of this.#table.leftBehind) {
      if (Date.now() - editedMs < EDITED_MS || !this.#isNews(path)) continue;
      const file = join(this.#root.realPath, path);
      log.warn(
        { file },
        `${file} is not served: found that it is older than the file that it is a compressed form of, ` +
          "expected one that was made after it (compress the file again, or remove this one)",
      );
    }
  }

  #isNews(subject: string): boolean {
    if (this.#reported.has(subject) || this.#reported.size >= MOST_REPORTS) return false;
    this.#reported.add(subject);
    return true;
  }

  #reportUnwatched(error: unknown): void {
    if (this.#isUnwatchedReported) return;
    this.#isUnwatchedReported = true;
    this.#options.log.warn(
      { folder: this.#root.realPath, err: error },
      "Cannot watch every folder of static files: new files appear some seconds later; on Linux see fs.inotify.max_user_watches",
    );
  }
}

type Depth = "deep" | "shallow";

/** A name that leads out of its folder, or that no file can have. */
// oxlint-disable-next-line no-control-regex -- NUL ends a path for the operating system
const UNSAFE_NAME = /^\.{0,2}$|[/\\\0]/;

const SLICE_MS = 5;
const YOUNG_MS = 2000;
const EDITED_MS = 5000;
/** Most warnings about links. More tell nothing new, and a folder full of links would fill the log. */
const MOST_REPORTS = 100;
/** Links without a target that are checked once a second. */
const MOST_DANGLING = 200;
/** Folders that one sweep checks, about 2 microseconds each. */
const FOLDERS_PER_SWEEP = 500;

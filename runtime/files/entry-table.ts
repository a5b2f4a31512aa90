import { join } from "node:path";

import { CODED_SIBLINGS } from "../http/content-coding.ts";
import { resolveContentType } from "./content-type.ts";
import { lookAt, resolveLink, type File, type Folder } from "./folder.ts";
import { isSameVersion, StaticFile, type StaticEntry } from "./static-file.ts";

/** The place of a file in the tree. */
export interface Origin {
  readonly folder: Folder;
  readonly name: string;
}

/**
 * Maps paths to entries.
 *
 * Contains only names that the walk of the root has found, so no path can lead out of the root.
 */
export class EntryTable {
  /** By decoded path: `/a/b.js`. A folder with an index page has two entries: `/a/`, and `/a`, which redirects. */
  readonly byPath = new Map<string, StaticEntry>();
  /**
   * Coded siblings that are not served because their file is newer. By path, with the time when the file was edited.
   */
  readonly leftBehind = new Map<string, number>();
  readonly #origins = new WeakMap<StaticFile, Origin>();
  readonly #onRetired: (file: StaticFile) => void;

  constructor(onRetired: (file: StaticFile) => void) {
    this.#onRetired = onRetired;
  }

  originOf(file: StaticFile): Origin | undefined {
    return this.#origins.get(file);
  }

  /**
   * Updates the entry of a name from the folder's children. If the name is a coded form of another file, updates that
   * file's entry too. A file gets a new object even if it seems unchanged: its content may have changed within the
   * resolution of its time.
   */
  publish(folder: Folder, name: string): void {
    this.#publishOne(folder, name);
    for (const { suffix } of CODED_SIBLINGS) {
      if (name.endsWith(suffix)) this.#publishOne(folder, name.slice(0, -suffix.length));
    }
  }

  /** Tells whether a file is still the same on disk. */
  isTrue(file: StaticFile, rootPath: string): boolean {
    const origin = this.#origins.get(file);
    if (origin === undefined) return false;
    const path = join(rootPath, origin.folder.path, origin.name);
    // A symbolic link may lead elsewhere by now, while its old target is unchanged.
    const { realPath } = file.source;
    if (path !== realPath && resolveLink(path) !== realPath) return false;
    return isUnchanged(file) && file.variants.every(isUnchanged);
  }

  clear(): void {
    for (const entry of this.byPath.values()) this.#retire(entry);
    this.leftBehind.clear();
    this.byPath.clear();
  }

  #publishOne(folder: Folder, name: string): void {
    const child = folder.children.get(name);
    // A folder is in the table because of its index page, and leaves the table together with it.
    if (child?.isFolder === true) return;
    const path = folder.path + name;
    const before = this.byPath.get(path);
    if (before !== undefined) this.#retire(before);
    if (child === undefined) {
      for (const { suffix } of CODED_SIBLINGS) this.leftBehind.delete(path + suffix);
      if (before === undefined) return;
      this.byPath.delete(path);
      if (name === INDEX_PAGE) this.#unpublishIndex(folder);
      return;
    }
    const file = this.#toFile(folder, name, child);
    this.byPath.set(path, file);
    if (name === INDEX_PAGE) this.#publishIndex(folder, file);
  }

  #toFile(folder: Folder, name: string, source: File): StaticFile {
    const contentType = resolveContentType(name);
    const variants: StaticFile[] = [];
    for (const { coding, suffix } of CODED_SIBLINGS) {
      const sibling = folder.children.get(name + suffix);
      const path = folder.path + name + suffix;
      this.leftBehind.delete(path);
      if (sibling === undefined || sibling.isFolder) continue;
      if (isLeftBehind(sibling, source)) {
        this.leftBehind.set(path, source.version.modifiedMs);
        continue;
      }
      const variant = new StaticFile(sibling, { contentType, coding });
      this.#origins.set(variant, { folder, name: name + suffix });
      variants.push(variant);
    }
    const file = new StaticFile(source, { contentType, variants });
    this.#origins.set(file, { folder, name });
    return file;
  }

  #publishIndex(folder: Folder, file: StaticFile): void {
    this.byPath.set(folder.path, file);
    if (folder.parent === null) return;
    const location = folder.path.split("/").map(encodeURIComponent).join("/");
    this.byPath.set(folder.path.slice(0, -1), { kind: "redirect", location });
  }

  #unpublishIndex(folder: Folder): void {
    this.byPath.delete(folder.path);
    if (folder.parent !== null) this.byPath.delete(folder.path.slice(0, -1));
  }

  #retire(entry: StaticEntry): void {
    if (entry.kind === "redirect") return;
    for (const file of [entry, ...entry.variants]) {
      if (file.isRetired) continue;
      file.isRetired = true;
      this.#onRetired(file);
    }
  }
}

const SLACK_MS = 1_000;
const INDEX_PAGE = "index.html";

function isUnchanged({ source }: StaticFile): boolean {
  const stats = lookAt(source.realPath);
  return stats !== undefined && isSameVersion(stats, source.version);
}

/**
 * Tells whether a coded sibling is older than its file: the file was edited, and the sibling was not built again. The
 * comparison has some slack, because a checkout or a copy writes the two in either order, and some file systems store
 * whole seconds only.
 */
function isLeftBehind(sibling: File, source: File): boolean {
  return sibling.version.modifiedMs < source.version.modifiedMs - SLACK_MS;
}

import { join } from "node:path";

import { CODED_SIBLINGS } from "../http/content-coding.ts";
import { resolveContentType } from "./content-type.ts";
import type { FilePolicy } from "./file-policy.ts";
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
  /**
   * By decoded path. A file that is no page has one entry. A page has an entry or a redirect for each of its paths:
   * `/a/index.html`, `/a/` and `/a`, or `/a.html`, `/a` and `/a/`.
   */
  readonly byPath = new Map<string, StaticEntry>();
  /**
   * Coded siblings that are not served because their file is newer. By path, with the time when the file was edited.
   */
  readonly leftBehind = new Map<string, number>();
  readonly #origins = new WeakMap<StaticFile, Origin>();
  /** Pages whose own path redirects to another path of the page. By their own path. */
  readonly #moved = new Map<string, StaticFile>();
  readonly #policy: FilePolicy;
  readonly #onRetired: (file: StaticFile) => void;

  constructor(policy: FilePolicy, onRetired: (file: StaticFile) => void) {
    this.#policy = policy;
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

  /** Gives a file variants that the server made. They are checked together with the file. */
  adopt(file: StaticFile, made: readonly StaticFile[]): void {
    const origin = this.#origins.get(file);
    if (origin === undefined) return;
    for (const variant of made) this.#origins.set(variant, origin);
    file.useMade(made);
  }

  clear(): void {
    for (const entry of this.byPath.values()) this.#retire(entry);
    for (const page of this.#moved.values()) this.#retire(page);
    this.#moved.clear();
    this.leftBehind.clear();
    this.byPath.clear();
  }

  #publishOne(folder: Folder, name: string): void {
    const child = folder.children.get(name);
    if (child?.isFolder !== true) this.#publishFile(folder, name, child);
    this.#arrange(folder, name);
    if (!name.endsWith(PAGE)) return;
    if (name !== INDEX_PAGE) this.#arrange(folder, name.slice(0, -PAGE.length));
    else if (folder.parent !== null) this.#arrange(folder.parent, folder.name);
    else this.#arrangePage({ file: this.#fileOf(folder, name), path: "/", others: [] });
  }

  #publishFile(folder: Folder, name: string, child: File | undefined): void {
    const path = folder.path + name;
    const before = this.#fileOf(folder, name);
    if (before !== undefined) this.#retire(before);
    this.#moved.delete(path);
    if (child === undefined) {
      for (const { suffix } of CODED_SIBLINGS) this.leftBehind.delete(path + suffix);
      if (before !== undefined) this.byPath.delete(path);
    } else {
      this.byPath.set(path, this.#toFile(folder, name, child));
    }
  }

  /** Returns the file of a name, under whichever path it is served. */
  #fileOf(folder: Folder, name: string): StaticFile | undefined {
    const path = folder.path + name;
    const entry = this.#moved.get(path) ?? this.byPath.get(path);
    // The path may belong to the page of another name.
    return entry?.kind === "file" && entry.path === path ? entry : undefined;
  }

  /**
   * Updates the entries of a name without and with a slash. The first of these files has the name: the file itself,
   * the page `NAME.html`, the index page of the folder.
   */
  #arrange(folder: Folder, name: string): void {
    const { cleanUrls, trailingSlash } = this.#policy;
    const child = folder.children.get(name);
    const path = folder.path + name;
    const slashed = `${path}/`;
    const exact = child?.isFolder === false ? this.#fileOf(folder, name) : undefined;
    const page =
      cleanUrls === false || name === "" || name === INDEX_NAME
        ? undefined
        : this.#fileOf(folder, name + PAGE);
    const index = child?.isFolder === true ? this.#fileOf(child, INDEX_PAGE) : undefined;
    this.byPath.delete(slashed);
    if (exact === undefined) this.byPath.delete(path);
    else this.byPath.set(path, exact);
    // Both pages may exist, `about.html` and `about/index.html`. Then each has a path of its own.
    if (index !== undefined) {
      const isFree = exact === undefined && page === undefined;
      const own = isFree && trailingSlash === "never" ? path : slashed;
      const other = own === path ? slashed : path;
      this.#arrangePage({ file: index, path: own, others: isFree ? [other] : [] });
    }
    if (page !== undefined) {
      const hasSlash = trailingSlash === "always" && index === undefined;
      const own = exact !== undefined ? page.path : hasSlash ? slashed : path;
      const other = hasSlash ? path : slashed;
      const isFree = exact === undefined && index === undefined;
      this.#arrangePage({ file: page, path: own, others: isFree ? [other] : [] });
    }
  }

  /** Gives a page its path, and leads other paths there. */
  #arrangePage({
    file,
    path,
    others,
  }: {
    file: StaticFile | undefined;
    path: string;
    others: readonly string[];
  }): void {
    if (file === undefined) {
      this.byPath.delete(path);
      return;
    }
    this.byPath.set(path, file);
    for (const other of others) this.byPath.set(other, { kind: "redirect", path });
    if (this.#policy.cleanUrls !== "redirect" || path === file.path) {
      this.#moved.delete(file.path);
      this.byPath.set(file.path, file);
    } else {
      this.#moved.set(file.path, file);
      this.byPath.set(file.path, { kind: "redirect", path });
    }
  }

  #toFile(folder: Folder, name: string, source: File): StaticFile {
    // A compressed sibling answers for the file.
    const common = {
      contentType: resolveContentType(name),
      path: folder.path + name,
      policy: this.#policy,
      siblings: folder.children,
    };
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
      const variant = new StaticFile(sibling, { ...common, coding });
      this.#origins.set(variant, { folder, name: name + suffix });
      variants.push(variant);
    }
    const file = new StaticFile(source, { ...common, variants });
    this.#origins.set(file, { folder, name });
    return file;
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
const PAGE = ".html";
const INDEX_NAME = "index";
const INDEX_PAGE = INDEX_NAME + PAGE;

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

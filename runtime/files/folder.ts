import { lstatSync, readdirSync, realpathSync, type FSWatcher, type Stats } from "node:fs";
import { join, sep } from "node:path";

import type { FileSource } from "./static-file.ts";

/** A folder of the tree that may be served, as it was when last read. */
export interface Folder {
  readonly isFolder: true;
  /** As in a URL, decoded, with a slash at the end. */
  readonly path: string;
  readonly name: string;
  /** Canonical: no component of it was a symbolic link when it was looked at. */
  readonly realPath: string;
  readonly parent: Folder | null;
  readonly children: Map<string, Folder | File>;
  inode: number;
  /** The folder's time of modification when it was read; NaN: read it again. */
  readAtMs: number;
  watcher: FSWatcher | null;
}

export interface File extends FileSource {
  readonly isFolder: false;
}

export function toFolder(
  folder: Pick<Folder, "path" | "name" | "realPath" | "inode" | "parent">,
): Folder {
  return { ...folder, isFolder: true, children: new Map(), readAtMs: Number.NaN, watcher: null };
}

/** Whether the folder is still where it was found, with no symbolic link on the way there. */
export function isIntact(folder: Folder): boolean {
  return resolveLink(folder.realPath) === folder.realPath;
}

/** The symbolic links that are followed: only links to servable files inside the root, or all. */
export type PublicLinks = "inside" | "follow";

/** The kind of a name in a folder. */
export type Child =
  | { kind: "found"; realPath: string; stats: Stats }
  /** Nothing that may be served. */
  | { kind: "none" }
  /** A symbolic link that is not followed, and where it leads. */
  | { kind: "refused"; target: string; why: "outside" | "hidden" }
  /** A symbolic link whose target is not there, perhaps not yet. */
  | { kind: "dangling" };

/**
 * Finds the kind of a name in a folder: a servable file or folder, or none.
 *
 * Not servable are dot-files, the targets of symbolic links outside the root, and anything but regular files. A link to
 * a folder that contains it is not servable either: the tree would be endless.
 *
 * @param options.rootPath Canonical path of the tree's root.
 */
export function findChild(
  folder: Folder,
  name: string,
  { rootPath, links }: { rootPath: string; links: PublicLinks },
): Child {
  if (isHidden(folder.path, name)) return NONE;
  let realPath = join(folder.realPath, name);
  let stats = lookAt(realPath);
  if (stats?.isSymbolicLink() === true) {
    let target = resolveLink(realPath);
    // The way is read link by link, and its end may go meanwhile. Then the link leads elsewhere by now.
    if (target === null || lookAt(target) === undefined) target = resolveLink(realPath);
    if (target === null) return DANGLING;
    if (isWithin(folder, target)) return NONE;
    const why = links === "follow" ? null : findRefusal(rootPath, target);
    if (why !== null) return { kind: "refused", target, why };
    realPath = target;
    stats = lookAt(target);
  }
  if (stats === undefined) return NONE;
  return stats.isFile() || stats.isDirectory() ? { kind: "found", realPath, stats } : NONE;
}

const NONE: Child = Object.freeze({ kind: "none" });
const DANGLING: Child = Object.freeze({ kind: "dangling" });

/** Whether a child is reached by a symbolic link. */
export function isLinked(folder: Folder, name: string, { realPath }: Folder | File): boolean {
  return realPath !== join(folder.realPath, name);
}

// A name that cannot be examined (gone, not permitted, too long) is not served.

export function lookAt(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined;
  }
}

export function resolveLink(path: string): string | null {
  try {
    return realpathSync.native(path);
  } catch {
    return null;
  }
}

export function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Dot-files are private (`.env`, `.git`, `.htpasswd`), except the one in the root that RFC 8615 defines. */
function isHidden(folderPath: string, name: string): boolean {
  return name.startsWith(".") && !(folderPath === "/" && name === ".well-known");
}

/** Tells whether a change of this name may change the targets of links in its folder, as with Kubernetes' `..data`. */
export function isVersionName(name: string): boolean {
  return name.startsWith("..");
}

/**
 * Why a link may not lead there; `null`: it may, inside the root and not to something hidden in it.
 *
 * Names that begin with two dots are no secrets: Kubernetes has the files of a ConfigMap in `..2025_01_02`, the link
 * `..data` to it, and a link to `..data/NAME` for each file.
 */
function findRefusal(rootPath: string, realPath: string): "outside" | "hidden" | null {
  const prefix = rootPath.endsWith(sep) ? rootPath : rootPath + sep;
  if (!realPath.startsWith(prefix)) return "outside";
  let path = "/";
  for (const name of realPath.slice(prefix.length).split(sep)) {
    if (isHidden(path, name) && !isVersionName(name)) return "hidden";
    path += `${name}/`;
  }
  return null;
}

function isWithin(folder: Folder, realPath: string): boolean {
  for (let outer: Folder | null = folder; outer !== null; outer = outer.parent) {
    if (outer.realPath === realPath) return true;
  }
  return false;
}
